"""A job as it will be sent, known before anything is: to be shown, and then to be sent just so."""

import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from casas_ray.paths import folder_name
from casas_ray.run.cluster.parcel import Parcel

_LONGEST_NAME = 60

STOP_SECONDS = 30
"""From the signal that stops a job to its death: Ray's own 3 s are too few for a checkpoint."""

ENVIRONMENT: Mapping[str, str] = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}
"""All that a job's environment is given: it stands in clear in the jobs API, so keys have to lie on
the cluster's nodes."""


@dataclass(frozen=True)
class Order:
    """A job as it is sent."""

    name: str
    words: tuple[str, ...]
    """Of the command, `casas-ray` first."""

    parcel: Parcel

    @property
    def entrypoint(self) -> str:
        """The line that the head's shell gets."""
        return shlex.join(self.words)

    def as_dict(self, dashboard: str) -> dict[str, object]:
        """All of it, as JSON can hold it."""
        return {
            "dashboard": dashboard,
            "job": self.name,
            "entrypoint": self.entrypoint,
            "environment": dict(ENVIRONMENT),
            "files": self.parcel.names(),
            "bytes": self.parcel.bytes,
            "untracked": list(self.parcel.untracked),
            "kept_back": list(self.parcel.kept_back),
        }


def new_order(command: Sequence[str], parcel: Parcel) -> Order:
    """The order for a casas-ray command, under a name of its own that any shell takes."""
    said = "-".join(word for word in command[:2] if not word.startswith("-") and "=" not in word)
    name = folder_name(said.replace("=", "-"), most=_LONGEST_NAME).replace("=", "-")
    return Order(f"{name}-{secrets.token_hex(3)}", ("casas-ray", *command), parcel)
