"""A log as it was read: its lines in file order as columns, and those that are no events."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.dialect import Dialect
from casas_ray.corpus.stamps import NO_TIME


class Said(NamedTuple):
    """What a line says but for its time."""

    sensor: str
    value: str
    """A state in the one way it is kept, or a number as it stands."""

    room: str = ""
    type: str = ""
    label: str = ""
    """An activity that is named and neither begins nor ends here."""

    marks: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    flaw: str = ""
    """Why such a line is no event; its marks count all the same, or an activity would never end."""


class Rejected(NamedTuple):
    """A line that is not used, and why."""

    number: int
    reason: str
    text: str


@dataclass
class RawLog:
    """A log's lines in file order as columns, and those that are no events with their reasons."""

    path: Path
    dialect: Dialect
    total: int = 0
    number: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    time_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """NO_TIME where there is none; such a line is kept for its marks alone."""

    zone: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    said: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """What the line says, as an index into `meanings`."""

    is_event: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    meanings: list[Said] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a user has to know of how the log was understood."""

    def reject(self, number: int, reason: str, text: str) -> None:
        """Set a line aside under its number."""
        self.rejected.append(Rejected(number, reason, text))

    def reject_row(self, row: int, reason: str) -> None:
        """Set a line aside that was read already."""
        self.reject(int(self.number[row]), reason, self.text_of(row))

    def text_of(self, row: int) -> str:
        """What a line said, with single spaces."""
        said, time_us = self.meanings[self.said[row]], int(self.time_us[row])
        written = str(np.datetime64(time_us, "us")).replace("T", " ").removesuffix(".000000")
        stamp = written if time_us != NO_TIME else ""
        marks = " ".join(f"{activity} {kind}" for activity, kind in said.marks)
        return " ".join(part for part in (stamp, *said[:2], said.label, marks) if part)

    def reasons(self) -> dict[str, int]:
        """Rejected lines counted by reason."""
        return dict(Counter(row.reason for row in self.rejected))

    def counted(self) -> Counter[str]:
        """What was noticed on lines that are events: notes and the like."""
        rows = np.bincount(self.said[self.is_event], minlength=len(self.meanings)).tolist()
        noticed: Counter[str] = Counter()
        for said, count in zip(self.meanings, rows, strict=True):
            for note in said.notes:
                noticed[note] += count
        return +noticed
