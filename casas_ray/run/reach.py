"""Whether a Ray cluster answers at an address, asked by TCP before and while Ray is used."""

import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, Queue
from typing import TypeVar

from casas_ray.config import Machine
from casas_ray.errors import ClusterError
from casas_ray.run.environment import cluster_address

Port = tuple[str, int]
Value = TypeVar("Value")
_SECONDS = 5.0
_EVERY_SECONDS = 1.0
_WHERE_JOBS_ARE = "RAY_ADDRESS"

# HTTP/2, which gRPC speaks: a client's opening words, an empty frame of settings among them, and
# the type of frame with which every server has to answer.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_FRAME_HEAD, _TYPE_AT, _SETTINGS = 9, 3, 4


def named_address(machine: Machine) -> tuple[str, str]:
    """The address of the cluster to join and what names it; both empty where Ray starts here."""
    address = cluster_address(machine)
    if not address:
        return "", ""
    return address, "machine.address" if machine.address else _WHERE_JOBS_ARE


def refuse_nobody(machine: Machine) -> None:
    """Refuse an address where no Ray answers, within seconds.

    Raises:
        ClusterError: nobody is there, nobody answers, or somebody who is not Ray.
    """
    address, name = named_address(machine)
    if not address:
        return
    try:
        port = port_of(address)
        in_time(lambda: _greet(port), seconds=2 * _SECONDS)
    except (OSError, ValueError) as error:
        raise nobody(address, name, error) from None


def nobody(address: str, name: str, reason: object) -> ClusterError:
    """The error that no cluster answers at an address, which the setting of this name gives."""
    first = (str(reason).splitlines() or [""])[0] or type(reason).__name__
    empty = "unset it" if name == _WHERE_JOBS_ARE else "leave it empty"
    return ClusterError(
        f"no Ray cluster answers at {name}={address}: {first}.",
        hint=f"start one with `ray start --head`, correct {name}, or {empty} to train here.",
    )


def in_time(work: Callable[[], Value], *, seconds: float) -> Value:
    """What work gives that waits for a network, for so long at most.

    Raises:
        TimeoutError: it takes longer; it goes on in its thread, which holds up nobody.
        Exception: what the work raised.
    """
    done: Queue[Callable[[], Value]] = Queue()

    def fail(error: Exception) -> Value:
        raise error

    def run() -> None:
        try:
            value = work()
        except Exception as error:  # it is raised where it is waited for
            done.put(functools.partial(fail, error))
        else:
            done.put(lambda: value)

    # A timeout of a socket alone does not bound how long a name is looked up.
    threading.Thread(target=run, name="knocking", daemon=True).start()
    try:
        outcome = done.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer in {seconds:.0f} s") from None
    return outcome()


def port_of(address: str) -> Port:
    """Host and port of `host:port` or `ray://host:port`.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError("wanted HOST:PORT")
    return host.strip("[]"), int(port)


def _greet(port: Port) -> None:
    with socket.create_connection(port, timeout=_SECONDS) as client:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return  # its greeting would be encrypted
        client.sendall(_GREETING)
        answer = b""
        end = time.monotonic() + _SECONDS
        while len(answer) < _FRAME_HEAD and time.monotonic() < end:
            piece = client.recv(_FRAME_HEAD - len(answer))
            if not piece:
                break
            answer += piece
    if len(answer) < _FRAME_HEAD or answer[_TYPE_AT] != _SETTINGS:
        raise ValueError("something else than Ray answers there")


class Pulse:
    """Looks from time to time whether ports still answer."""

    def __init__(self) -> None:
        self.ports: Sequence[Port] = ()
        """Those to look at; none before a cluster is there, nor when it is let go."""

        self.patience = 3.0
        """Seconds of silence after which Ray is taken for gone."""

        self._looked = 0.0
        self._silent_since: float | None = None

    def is_lost(self) -> bool:
        """Whether some port has not answered for longer than our patience."""
        now = time.monotonic()
        if now - self._looked < _EVERY_SECONDS:
            return False
        self._looked = now
        if self.answers():
            self._silent_since = None
            return False
        self._silent_since = self._silent_since or now
        return now - self._silent_since >= self.patience

    def answers(self) -> bool:
        """Whether all ports answer now."""
        return all(_answers(port) for port in self.ports)


def _answers(port: Port) -> bool:
    try:
        with socket.create_connection(port, timeout=1.0):
            return True
    except OSError:
        return False
