"""The roll: which workers take steps. One that hangs is ended, and one whose node is to go is told.

A worker calls itself from a thread of its own, so that its training may wait for others meanwhile.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch.distributed
from ray._private.state import state as cluster
from ray.exceptions import RayError

from casas_ray.config import Machine
from casas_ray.run.room import beside_driver

_CALLS_EVERY_SECONDS = 0.5
_LOOKS_EVERY_SECONDS = 0.5
_PARTING_SECONDS = 5.0
_MOST_WORKERS = 10_000


@dataclass(frozen=True)
class Worker:
    """One worker of a training, as the roll knows it."""

    run: Path
    rank: int
    world_size: int
    node: str
    actor: Any  # Any: Ray's handle of an actor has no type of its own


@dataclass
class _Entry:
    worker: Worker
    at: tuple[int, int] = (-1, -1)
    """Steps begun, and collective operations; where both stay, nothing goes on."""

    moved: float = 0.0
    heard: float = 0.0


class _Roll:
    """The actor: hears every worker, and looks from time to time who has fallen silent."""

    def __init__(self, hang_seconds: int, recorder: Any) -> None:  # Any: as above
        self._limit = hang_seconds
        self._recorder = recorder
        self._entries: dict[str, _Entry] = {}
        """By the worker's actor, which trains one run at a time."""

        self._leaving: set[str] = set()
        """The nodes that are to go."""

    async def here(self, worker: Worker, steps: int, operations: int) -> bool:
        """Take note of how far a worker is; whether its node is to go."""
        name, now = _name_of(worker), time.monotonic()
        entry = self._entries.get(name)
        if entry is None or entry.worker.run != worker.run:
            entry = self._entries[name] = _Entry(worker)
        if entry.at != (steps, operations):
            entry.at, entry.moved = (steps, operations), now
        entry.heard = now
        return worker.node in self._leaving

    async def left(self, worker: Worker) -> None:
        """Strike a worker off, whose training has ended."""
        self._entries.pop(_name_of(worker), None)

    async def watch(self) -> None:
        """Look after the workers, for ever."""
        while True:
            await asyncio.sleep(_LOOKS_EVERY_SECONDS)
            self._leaving = set(cluster.get_draining_nodes())
            if self._limit:
                for run in {entry.worker.run for entry in self._entries.values()}:
                    await self._end_hanging(run)

    async def _end_hanging(self, run: Path) -> None:
        entries = {name: entry for name, entry in self._entries.items() if entry.worker.run == run}
        # One that still moves is waited for by nobody: then none of the training's hangs.
        if any(time.monotonic() - entry.moved < self._limit for entry in entries.values()):
            return
        hanging = _hanging(list(entries.values()), self._limit)
        for name in entries:
            del self._entries[name]
        # A process that is gone has been noticed elsewhere, and another may have taken its run.
        if all(_is_alive(entry.worker) for entry in hanging):
            # First: what its writer sends yet is refused from here on, and cannot count as the end.
            await self._recorder.settle.remote(run, "failed", _said(hanging, self._limit))
            for entry in hanging:
                ray.kill(entry.worker.actor)


def _hanging(entries: list[_Entry], limit: int) -> list[_Entry]:
    """Those that the others wait for: who says nothing at all, else who is the fewest operations
    on."""
    silent = [entry for entry in entries if time.monotonic() - entry.heard >= limit]
    if silent:
        return silent
    last = min(entry.at[1] for entry in entries)
    return [entry for entry in entries if entry.at[1] == last]


def _said(hanging: list[_Entry], limit: int) -> str:
    ranks = sorted(entry.worker.rank for entry in hanging)
    who = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
    verb = "hangs" if len(ranks) == 1 else "hang"
    return (
        f"{who} of {hanging[0].worker.world_size} {verb}: no step for {limit} s "
        "(machine.hang_seconds)"
    )


def _name_of(worker: Worker) -> str:
    return worker.actor._actor_id.hex()


def _is_alive(worker: Worker) -> bool:
    return cluster.actor_table(_name_of(worker)).get("State") == "ALIVE"


def start_roll(machine: Machine, recorder: Any) -> Any:  # Any: as above
    """The roll of a session; the recorder writes down who was ended."""
    actor: Any = ray.remote(_Roll)
    options = {**beside_driver(), "max_concurrency": _MOST_WORKERS}
    roll = actor.options(**options).remote(machine.hang_seconds, recorder)
    roll.watch.remote()
    return roll


class Presence:
    """A worker's own part: how far it is, and whether it is to leave its node."""

    def __init__(self, roll: Any, worker: Worker) -> None:  # Any: as above
        self.is_to_leave = False
        self._roll = roll
        self._worker = worker
        self._steps = 0
        self._over = threading.Event()

    def stepping(self, is_asked_to_stop: Callable[[], bool]) -> Callable[[], bool]:
        """The same question, asked at each step; true also when the node is to go."""

        def asked() -> bool:
            self._steps += 1
            return is_asked_to_stop() or self.is_to_leave

        return asked

    def call(self) -> None:
        """Call until the training is over."""
        # Whatever ends the roll's actor, or Ray, ends the training by other ways.
        with contextlib.suppress(RayError):
            while not self._over.is_set():
                self.is_to_leave |= bool(
                    ray.get(self._roll.here.remote(self._worker, self._steps, _operations()))
                )
                self._over.wait(_CALLS_EVERY_SECONDS)
            self._roll.left.remote(self._worker)

    def end(self) -> None:
        """Call no more."""
        self._over.set()


@contextmanager
def on_roll(roll: Any, run: Path, rank: int, world_size: int) -> Iterator[Presence]:  # Any: above
    """The presence of this worker while the block trains the run."""
    context = ray.get_runtime_context()
    worker = Worker(run, rank, world_size, context.get_node_id(), context.current_actor)
    presence = Presence(roll, worker)
    thread = threading.Thread(target=presence.call, name="presence", daemon=True)
    thread.start()
    try:
        yield presence
    finally:
        presence.end()
        thread.join(_PARTING_SECONDS)


def _operations() -> int:
    """Collective operations that this worker has begun: waiting for another it is one ahead."""
    if not torch.distributed.is_initialized():
        return 0
    group: Any = torch.distributed.distributed_c10d._get_default_group()  # no public name tells it
    return group._get_sequence_number_for_group()
