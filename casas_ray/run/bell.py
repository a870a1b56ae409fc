"""A bell that the driver rings and every worker of its trainings hears, on any node."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError

from casas_ray.run.room import beside_driver

_LOOKS_EVERY_SECONDS = 0.1
_MOST_LISTENERS = 10_000


class _Ringer:
    """Answers whoever waits for the bell once it has rung."""

    def __init__(self) -> None:
        self._rang = asyncio.Event()

    async def ring(self) -> None:
        self._rang.set()

    async def has_rung(self) -> bool:
        return self._rang.is_set()

    async def heard(self) -> bool:
        return await self._rang.wait()


class Bell:
    """Made by the driver, and hung once Ray is there."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self.end: Any = None  # Any: Ray's handle of an actor has no type of its own
        """What workers listen at; it can be sent anywhere."""

    @property
    def has_rung(self) -> bool:
        """Whether the driver rang it."""
        return self._rung.is_set()

    def hang(self) -> None:
        """Let workers listen from now on."""
        ringer: Any = ray.remote(_Ringer)
        # Beside us: were it on a node that dies, everybody would take that for its ringing.
        options = {**beside_driver(), "max_concurrency": _MOST_LISTENERS}
        self.end = ringer.options(**options).remote()

    def ring(self) -> None:
        """Ask everybody to stop; who begins to listen later hears it too."""
        # In this order: `hang` and a look at `has_rung` follow each other in the other thread.
        self._rung.set()
        if self.end is not None:
            with contextlib.suppress(RayError, RuntimeError):  # Ray itself may be going
                self.end.ring.remote()


def listener(end: Any) -> Callable[[], bool]:  # Any: as above
    """Whether a bell has rung; to be asked at each step."""
    # Waited for, this once: a trial whose turn comes after the bell must not begin.
    rang, looked = bool(ray.get(end.has_rung.remote())), 0.0
    heard = end.heard.remote()

    def has_rung() -> bool:
        nonlocal looked, rang
        # Each look takes 80 us, which is much beside the steps of a GPU.
        if not rang and time.monotonic() - looked > _LOOKS_EVERY_SECONDS:
            rang, looked = bool(ray.wait([heard], timeout=0)[0]), time.monotonic()
        return rang

    return has_rung
