"""A connection to Ray that is quiet, private and ended by the one who began it."""

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.data
from ray._private import ray_constants
from ray.exceptions import AuthenticationError

from casas_ray.config import Machine
from casas_ray.errors import ClusterError, first_line
from casas_ray.run.environment import guard_token
from casas_ray.run.reach import Port, named_address, nobody, port_of
from casas_ray.run.worker_code import OwnCode

# Ray's dashboard starts its parts as `python -c`, which imports from the current folder first.
_JOINED = {"PYTHONSAFEPATH": "1"}
# Workers of a TorchTrainer would find each other by the address of this host's name.
_OURS = _JOINED | {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}


_OTHER_VERSION = "Version mismatch"
"""So Ray begins to say that a cluster is of another version; it takes some lines."""


@dataclass(frozen=True)
class Joined:
    """A Ray that this process has joined."""

    ports: tuple[Port, ...]
    """Those that must answer: the cluster's control service, and the daemon of this node."""

    folder: str
    """The folder of its logs and sockets where Ray was started here; else empty."""


@contextmanager
def session(machine: Machine) -> Iterator[Joined]:
    """Ray within a block: started here, or joined where the machine or RAY_ADDRESS says.

    To be entered in a thread that lives as long as it: Ray's processes end with that thread.

    Raises:
        SettingsError: the cluster is not named but to be searched for.
        ClusterError: the address does not answer or refuses us.
    """
    logging.getLogger("ray").setLevel(logging.WARNING)
    address, name = named_address(machine)
    with contextlib.ExitStack() as stack:
        folder = "" if address else stack.enter_context(_own_folder())
        stack.callback(ray.shutdown)
        started = _connect(address, name, machine, folder)
        yield Joined(_ports(), started)


def _ports() -> tuple[Port, ...]:
    context = ray.get_runtime_context()
    own = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    daemons = [(str(node["NodeManagerAddress"]), int(node["NodeManagerPort"])) for node in own]
    return (port_of(context.gcs_address), *daemons)


@contextmanager
def _own_folder() -> Iterator[str]:
    """The folder of one Ray's logs and sockets, gone when it ends."""
    # Ray opens its folder to everybody who can reach it, so it lies in one of mode 0700.
    closed = tempfile.mkdtemp(prefix="casas-ray-", dir=os.environ.get("RAY_TMPDIR"))
    try:
        yield f"{closed}/ray"
    finally:
        shutil.rmtree(closed, ignore_errors=True)


def _connect(address: str, name: str, machine: Machine, folder: str) -> str:
    """The session's folder where Ray was started here, else nothing."""
    # The dashboard's State API is what lets Tune give back the resources of an early-stopped trial
    # that runs a trainer of its own; without such trials it is start-up time for nothing.
    dashboard = None if address else machine.most_workers > 1
    try:
        with _given(_JOINED if address else _OURS):
            joined = _begin(address, folder, include_dashboard=dashboard)
        guard_token()  # ray.init may have just written it
    except (ConnectionError, AuthenticationError, RuntimeError, ValueError, OSError) as error:
        if address and _OTHER_VERSION in str(error):
            raise ClusterError(
                f"{name}={address} runs other versions. {' '.join(str(error).split())}",
                hint="install the versions of the cluster here, or submit the command to it.",
            ) from None
        if address:
            raise nobody(address, name, error) from None
        raise ClusterError(
            f"Ray does not start on this machine: {first_line(error)}",
            hint="casas-ray doctor says what is missing; --machine debug needs no Ray.",
        ) from None
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # They would be drawn over our own, in the middle of a table.
    ray.data.DataContext.get_current().enable_progress_bars = False
    return "" if address else str(joined.address_info["session_dir"])


def _begin(address: str, folder: str, *, include_dashboard: bool | None) -> Any:
    # Any: what ray.init returns has no public type.
    # Ray's switch for systems without clusters, the one thing that makes it listen on loopback
    # alone; _node_ip_address=127.0.0.1 does not (docs/findings.md).
    ray_constants.ENABLE_RAY_CLUSTER = bool(address)
    return ray.init(
        # Never None: Ray would join whatever a file in a folder open to all names.
        address=address or "local",
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        include_dashboard=include_dashboard,
        job_config=OwnCode(),
        _temp_dir=folder or None,
    )


@contextmanager
def _given(environment: Mapping[str, str]) -> Iterator[None]:
    """An environment for the processes that are started meanwhile, and for theirs in turn."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ |= environment
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
