"""What a cluster must have before a study is sent to it, asked from here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from casas_ray.config import Machine
from casas_ray.errors import ClusterError
from casas_ray.run.cluster.answer import Answer
from casas_ray.run.cluster.dashboard import Dashboard, refuse_another_ray
from casas_ray.run.cluster.errand import ask
from casas_ray.run.cluster.look import versions
from casas_ray.run.cluster.words import machine_words


def check(dashboard: Dashboard, machine: Machine, archive: Path) -> Answer:
    """What the cluster has, once it was seen to have all that a training on the machine needs.

    Raises:
        ClusterError: its versions are others, or it has too little for one training.
        SetupError: its storage, or its own disk, cannot be written to.
    """
    refuse_another_ray(dashboard)
    answer = ask(dashboard, ["check", *machine_words(machine)], archive=archive)
    refuse_other_versions(dashboard.address, answer["nodes"])
    return answer


def refuse_other_versions(address: str, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a cluster with a node whose versions are not those of this machine.

    Raises:
        ClusterError: it has one.
    """
    here = versions()
    for node in nodes:
        there = node["versions"]
        for name, ours in here.items():
            if there[name] != ours:
                raise ClusterError(
                    f"the cluster at {address} has {name} {there[name]}, this machine {ours}.",
                    hint=f"install {name} {there[name]} here, or {ours} on all of its nodes.",
                )
