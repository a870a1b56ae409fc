"""A network between a command and a server of this machine: connections through it can be cut, or
fall silent, or be slow, while both ends live."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_SECONDS = 0.1


class Proxy:
    """Passes bytes on to a port of loopback, unless it is told otherwise."""

    def __init__(self, target: int) -> None:
        self.connections = 0
        self._seconds = 0.0
        self._target = target
        self._passes = threading.Event()
        self._passes.set()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.settimeout(_SECONDS)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._door.getsockname()[1]

    def cut(self) -> None:
        """Break off all connections there are now."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def slow_down(self, seconds: float) -> None:
        """Let each piece of bytes take so long."""
        self._seconds = seconds

    def fall_silent(self) -> None:
        """Take connections and pass nothing on."""
        self._passes.clear()

    def pass_on(self) -> None:
        """Pass on again."""
        self._passes.set()

    def end(self) -> None:
        """Take no more connections."""
        self._ended.set()
        self._passes.set()
        self.cut()
        self._door.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._door.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open |= {client, server}
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while piece := one.recv(1 << 16):
                self._passes.wait()
                time.sleep(self._seconds)
                other.sendall(piece)
        except OSError:
            pass
        finally:
            for each in (one, other):
                self._open.discard(each)
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """A proxy to a port of loopback."""
    made = Proxy(port)
    try:
        yield made
    finally:
        made.end()
