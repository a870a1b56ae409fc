"""A connection to Ray that is quiet, private and ended by the one who began it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import ray.data
from ray.exceptions import AuthenticationError

from casas_ray.config import Machine
from casas_ray.errors import ClusterError
from casas_ray.run.environment import guard_token


@contextmanager
def session(machine: Machine) -> Iterator[None]:
    """Ray within a block: started here, or joined where the machine or RAY_ADDRESS says.

    Raises:
        ClusterError: the address does not answer or refuses us.
    """
    logging.getLogger("ray").setLevel(logging.WARNING)
    _connect(machine)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(machine: Machine) -> None:
    address = machine.address or os.environ.get("RAY_ADDRESS") or None
    # The dashboard's State API is what lets Tune give back the resources of an early-stopped trial
    # that runs a trainer of its own; without such trials it is start-up time for nothing.
    dashboard = None if address else machine.workers > 1
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            include_dashboard=dashboard,
        )
        guard_token()  # ray.init may have just written it
    except (ConnectionError, AuthenticationError, RuntimeError, ValueError, OSError) as error:
        where = address or "this machine"
        raise ClusterError(
            f"no Ray cluster answers at {where}: {str(error).splitlines()[0]}",
            hint="start one with `ray start --head`, or leave machine.address empty.",
        ) from None
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # They would be drawn over our own, in the middle of a table.
    ray.data.DataContext.get_current().enable_progress_bars = False


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
