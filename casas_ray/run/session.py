"""A connection to Ray that is quiet, private and ended by the one who began it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.data
from ray.exceptions import AuthenticationError

from casas_ray.config import Machine
from casas_ray.errors import ClusterError
from casas_ray.run.environment import guard_token
from casas_ray.run.reach import Port, named_address, nobody, port_of


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
        ClusterError: the address does not answer or refuses us.
    """
    logging.getLogger("ray").setLevel(logging.WARNING)
    folder = _connect(machine)
    try:
        yield Joined(_ports(), folder)
    finally:
        ray.shutdown()


def _ports() -> tuple[Port, ...]:
    context = ray.get_runtime_context()
    own = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    daemons = [(str(node["NodeManagerAddress"]), int(node["NodeManagerPort"])) for node in own]
    return (port_of(context.gcs_address), *daemons)


def _connect(machine: Machine) -> str:
    """The session's folder where Ray was started here, else nothing."""
    address, name = named_address(machine)
    # The dashboard's State API is what lets Tune give back the resources of an early-stopped trial
    # that runs a trainer of its own; without such trials it is start-up time for nothing.
    dashboard = None if address else machine.workers > 1
    try:
        joined: Any = ray.init(
            address=address or None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            include_dashboard=dashboard,
        )  # Any: what it returns has no public type
        guard_token()  # ray.init may have just written it
    except (ConnectionError, AuthenticationError, RuntimeError, ValueError, OSError) as error:
        if address:
            raise nobody(address, name, error) from None
        raise ClusterError(
            f"Ray does not start on this machine: {(str(error).splitlines() or ['no word'])[0]}",
            hint="casas-ray doctor says what is missing; --machine debug needs no Ray.",
        ) from None
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # They would be drawn over our own, in the middle of a table.
    ray.data.DataContext.get_current().enable_progress_bars = False
    return "" if address else str(joined.address_info["session_dir"])


def fits(machine: Machine) -> None:
    """Refuse a machine of which the cluster, empty, could not hold one training.

    Raises:
        ClusterError: it has too few CPUs or GPUs.
    """
    # Ray itself says nothing of the kind: it waits for a node that may yet join.
    total = ray.cluster_resources()
    for name, each in (("CPU", machine.cpus_per_worker), ("GPU", machine.gpus_per_worker)):
        wanted = each * machine.workers
        if wanted > total.get(name, 0.0):
            raise ClusterError(
                f"{machine.workers} worker(s) want {wanted:g} {name}; the cluster has "
                f"{total.get(name, 0.0):g}.",
                hint="lower machine.workers or machine.cpus_per_worker, or take another --machine.",
            )
