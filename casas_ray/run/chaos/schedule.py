"""Which faults come when: a function of the seed."""

import random
from dataclasses import dataclass

WHAT = {
    "worker killed": "kill -9 of a process that trains",
    "worker paused": "a process that trains stands still for some seconds",
    "recorder killed": "kill -9 of who writes down what workers send",
    "node killed": "kill -9 of Ray's daemon",
    "control killed": "kill -9 of Ray's control service",
    "driver killed": "kill -9 of the command itself",
    "told to end": "SIGTERM to the command",
    "interrupted twice": "Ctrl-C, and once more before it has ended",
    "ledger torn": "the command killed, and half a row at the end of a ledger",
    "checkpoint damaged": "the command killed, and a bit turned in the newest checkpoint",
}
"""Every kind of fault, and what it is."""

WITHOUT_RAY = (
    "driver killed",
    "told to end",
    "interrupted twice",
    "ledger torn",
    "checkpoint damaged",
)
"""The kinds that a study without Ray can suffer."""

_GAPS_SECONDS = (5.0, 25.0)


@dataclass(frozen=True)
class Fault:
    """A fault that is to come."""

    kind: str
    at: float
    """Seconds after the start; it waits until something is there that it can befall."""

    draw: int
    """Which of several is befallen."""


def schedule(seed: int, minutes: float, *, with_ray: bool) -> list[Fault]:
    """The faults of so many minutes; each kind comes once before any comes twice."""
    rng = random.Random(seed)
    faults: list[Fault] = []
    bag: list[str] = []
    at = rng.uniform(*_GAPS_SECONDS)
    while at < 60.0 * minutes:
        if not bag:
            bag = list(WHAT if with_ray else WITHOUT_RAY)
            rng.shuffle(bag)
        faults.append(Fault(bag.pop(), round(at, 1), rng.randrange(1 << 30)))
        at += rng.uniform(*_GAPS_SECONDS)
    return faults
