"""On the cluster: what it has for a study, looked at from within."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from casas_ray import __version__, paths
from casas_ray.config import Machine
from casas_ray.errors import ClusterError, first_line
from casas_ray.records.storage import Storage
from casas_ray.run.cluster.answer import Answer

Versions = Mapping[str, str]
_NODE_SECONDS = 60.0


def versions() -> Versions:
    """What has to be equal on both sides, of this very process."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "ray": _installed("ray"), "casas_ray": __version__}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def look_around(machine: Machine) -> Answer:
    """What this cluster has, seen from within, as JSON can hold it.

    Raises:
        ClusterError: it has too little for one training, or a node on which nothing of ours runs.
        SetupError: the machine's storage, or this node's own disk, cannot be written to.
    """
    paths.require_writable(paths.runs(), what="the folder of runs")
    if machine.storage:
        Storage(machine.storage).require_writable()
    from casas_ray.run.attend import Bell, attended  # ray takes seconds to import

    nodes: list[Mapping[str, Any]] = []

    def work(_: Bell) -> None:
        nodes.extend(_asked_everywhere(machine.storage))

    attended(machine, work)
    return {"data": str(paths.data_root()), "storage": machine.storage, "nodes": nodes}


def _asked_everywhere(storage: str) -> list[Mapping[str, Any]]:
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(_look_from_node)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = {"num_cpus": 0, "scheduling_strategy": there, "max_retries": 0}
            asked[node["NodeManagerAddress"]] = (
                node["Resources"],
                task.options(**options).remote(storage),
            )
    told = []
    for address, (resources, answer) in asked.items():
        try:
            seen = ray.get(answer, timeout=_NODE_SECONDS)
        except RayError as error:
            cause = getattr(error, "cause", None) or error
            raise ClusterError(
                f"node {address} cannot work for us: {first_line(cause)}",
                hint="every node needs casas-ray installed, and the keys of the storage.",
            ) from None
        cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
        told.append({"address": address, "cpus": cpus, "gpus": gpus, "versions": seen})
    return told


def _look_from_node(storage: str) -> Versions:
    """The versions of a node, once it could write to a bucket."""
    # A folder is written to by the driver alone, where it was looked at.
    if "://" in storage:
        Storage(storage).require_writable()
    return versions()
