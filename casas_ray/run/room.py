"""Which node of a cluster an actor lies on, and how many workers the nodes hold."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from casas_ray.config import Machine
from casas_ray.errors import ClusterError


def beside_driver() -> dict[str, Any]:  # Any: options of Ray's actors, by name
    """Options of an actor that lives on the driver's node and takes no CPU from trainings."""
    node = ray.get_runtime_context().get_node_id()
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def take_niceness(niceness: int) -> None:
    """Let this process of Ray, whose niceness is 15, have another, for all its threads.

    A lower one is root's to take; where it is refused, all stays as it is.
    """
    threads = Path("/proc/self/task")
    each = [int(path.name) for path in threads.iterdir()] if threads.is_dir() else [0]
    with contextlib.suppress(PermissionError):
        for thread in each:
            os.setpriority(os.PRIO_PROCESS, thread, niceness)


def fits(machine: Machine) -> None:
    """Refuse a machine of which the cluster, empty, could not hold one training; one that adds
    nodes is taken at its word.

    Raises:
        ClusterError: it has too few CPUs or GPUs, or too few on one node for a worker.
    """
    if machine.autoscaled:
        return
    # Ray itself says nothing of the kind: it waits for a node that may yet join.
    total = ray.cluster_resources()
    for name, each in (("CPU", machine.cpus_per_worker), ("GPU", machine.gpus_per_worker)):
        wanted = each * machine.fewest_workers
        if wanted > total.get(name, 0.0):
            raise ClusterError(
                f"{machine.fewest_workers} worker(s) want {wanted:g} {name}; the cluster has "
                f"{total.get(name, 0.0):g}.",
                hint="lower machine.workers or machine.cpus_per_worker, or take another --machine.",
            )
    if slots(machine) < machine.fewest_workers:
        raise ClusterError(
            f"{machine.fewest_workers} worker(s) want {machine.cpus_per_worker:g} CPU and "
            f"{machine.gpus_per_worker:g} GPU each; the cluster's nodes hold {slots(machine)}.",
            hint="a worker lies on one node whole: lower machine.cpus_per_worker or "
            "machine.gpus_per_worker, or machine.workers.",
        )


def slots(machine: Machine) -> int:
    """How many workers the cluster's nodes hold when they are empty."""
    return sum(_slots_of(node["Resources"], machine) for node in ray.nodes() if node["Alive"])


def _slots_of(resources: Mapping[str, float], machine: Machine) -> int:
    wanted = {"CPU": machine.cpus_per_worker, "GPU": machine.gpus_per_worker}
    room = [resources.get(name, 0.0) / each for name, each in wanted.items() if each]
    # Fractions of a GPU add up to a little less than whole ones.
    return int(min(room) + 1e-6)
