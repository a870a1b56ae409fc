"""Activities told from window vectors: ours and every baseline of the same level, by one code."""

# D days, C classes

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from casas_ray.evals.features.featurizer import LEVELS, Featurizer, Level
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.hand import BOTH_SIDES, COUNTS, LAST_FIRED, MIX, PAST, RICH
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.scores import Interval, Tally, difference, interval
from casas_ray.evals.tuned import Kind, Part, Probed, majority, probe

Watch = Callable[[str], None]
"""Hears what is at work."""

Json = dict[str, Any]  # Any: what JSON holds

MAJORITY = "majority"


@dataclass(frozen=True)
class Contender:
    """Vectors and the classifier that reads them."""

    featurizer: Featurizer
    kind: Kind = "regression"
    is_ours: bool = False
    """Learned by a training, and not a baseline."""

    @property
    def name(self) -> str:
        """The features, and the classifier where it is not the usual one."""
        return self.featurizer.name + (", forest" if self.kind == "forest" else "")


BASELINES = (
    Contender(COUNTS),
    Contender(COUNTS, "forest"),
    Contender(RICH),
    Contender(RICH, "forest"),
    Contender(MIX),
    Contender(LAST_FIRED),
    Contender(PAST),
    Contender(PAST, "forest"),
    Contender(BOTH_SIDES),
    Contender(BOTH_SIDES, "forest"),
)


@dataclass(frozen=True)
class Row:
    """What one contender earned."""

    name: str
    level: Level
    is_ours: bool
    chosen: tuple[str, ...]
    """A strength, or a kind of trees, a fold."""

    curves: tuple[Mapping[str, float], ...]
    """A fold: macro F1 of every candidate on blocks of training days."""

    tally: Tally
    labelled: Tally | None

    def scores(self) -> dict[str, float]:
        """macro_f1 and weighted_f1; the same with `_labelled` of windows that somebody labelled."""
        known = self.labelled.scores() if self.labelled else {}
        return self.tally.scores() | {f"{name}_labelled": value for name, value in known.items()}

    def as_dict(self) -> Json:
        """The row as JSON can hold it."""
        told = {"name": self.name, "level": self.level, "ours": self.is_ours, **self.scores()}
        return told | {
            "interval": interval([self.tally]),
            "folds": self.tally.by_fold(),
            "chosen": list(self.chosen),
            "curves": [dict(curve) for curve in self.curves],
            "tally": _plain(self.tally),
            "tally_labelled": _plain(self.labelled) if self.labelled else None,
        }

    @classmethod
    def from_dict(cls, held: Json) -> "Row":
        """The row that `as_dict` turned into JSON."""
        known = held["tally_labelled"]
        return cls(
            held["name"],
            held["level"],
            held["ours"],
            tuple(held["chosen"]),
            tuple(held["curves"]),
            _tally(held["tally"]),
            _tally(known) if known else None,
        )


def _plain(tally: Tally) -> dict[str, list[Any]]:
    return {
        "fold": tally.fold_D.tolist(),
        "right": tally.right_DC.tolist(),
        "true": tally.true_DC.tolist(),
        "guessed": tally.guessed_DC.tolist(),
    }


def _tally(held: Mapping[str, list[Any]]) -> Tally:
    parts = (np.array(held[name], dtype=np.float64) for name in ("right", "true", "guessed"))
    return Tally(np.array(held["fold"], dtype=np.int64), *parts)


@dataclass(frozen=True)
class Evaluation:
    """Every contender's row on the same windows."""

    protocol: str
    split: str
    rows: Sequence[Row]
    left_out: tuple[str, ...] = ()
    """What could not be made here, and why."""

    extra: Json = field(default_factory=dict)
    """Further tables of the same look."""

    def of_level(self, level: Level) -> list[Row]:
        """The rows that read so much, baselines first."""
        rows = [row for row in self.rows if row.level == level]
        return sorted(rows, key=lambda row: row.is_ours)

    def named(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in self.rows if row.name == name)

    def as_dict(self) -> Json:
        """The evaluation as JSON can hold it."""
        return {
            "protocol": self.protocol,
            "split": self.split,
            "left_out": list(self.left_out),
            "rows": [row.as_dict() for row in self.rows],
            "verdicts": verdicts([self]),
            **self.extra,
        }

    @classmethod
    def from_dict(cls, held: Json) -> "Evaluation":
        """The evaluation that `as_dict` turned into JSON."""
        named = {"protocol", "split", "left_out", "rows", "verdicts"}
        rows = [Row.from_dict(row) for row in held["rows"]]
        extra = {name: value for name, value in held.items() if name not in named}
        return cls(held["protocol"], held["split"], rows, tuple(held["left_out"]), extra)


def rows_of(
    windows: SeenWindows, folds: Sequence[Fold], contenders: Sequence[Contender], watch: Watch
) -> list[Row]:
    """A row a contender, each fitted and tuned anew in every fold."""
    rows = []
    for contender in contenders:
        watch(f"fitting probes, {contender.name}")
        parts = [_probed(contender, windows, fold) for fold in folds]
        featurizer = contender.featurizer
        rows.append(_row(contender.name, featurizer.level, parts, is_ours=contender.is_ours))
    return rows


def majority_row(windows: SeenWindows, folds: Sequence[Fold]) -> Row:
    """The row of the most frequent label of training days, always guessed."""
    nothing_N1 = np.zeros((len(windows), 1))
    parts = [
        majority(_part(nothing_N1, windows, fold.train), _part(nothing_N1, windows, fold.judged))
        for fold in folds
    ]
    return _row(MAJORITY, "window", parts, is_ours=False)


def _probed(contender: Contender, windows: SeenWindows, fold: Fold) -> Probed:
    # Single precision: half the time, and no choice hangs on the digits beyond it.
    vectors_NW = contender.featurizer.make(windows, fold).astype(np.float32)
    train, judged = (_part(vectors_NW, windows, rows) for rows in (fold.train, fold.judged))
    return probe(train, judged, contender.kind)


def _part(vectors_NW: Any, windows: SeenWindows, rows: Ints) -> Part:  # Any: of either precision
    return Part(vectors_NW[rows], windows.labels[rows], windows.day_N[rows])


def _row(name: str, level: Level, parts: Sequence[Probed], *, is_ours: bool) -> Row:
    known = [part.labelled for part in parts if part.labelled is not None]
    return Row(
        name,
        level,
        is_ours,
        tuple(part.chosen for part in parts),
        tuple(part.curve for part in parts),
        Tally.of([part.guesses for part in parts]),
        Tally.of(known) if known else None,
    )


def verdicts(seeds: Sequence[Evaluation]) -> dict[str, str]:
    """By name of what was learned, a sentence on whether it beats the best baseline that reads no
    more than it does; `seeds` are evaluations of one recipe on the same windows."""
    ours = [row.name for row in seeds[0].rows if row.is_ours]
    return {name: _verdict([each.named(name) for each in seeds], seeds[0]) for name in ours}


def best_baseline(evaluation: Evaluation, level: Level) -> Row:
    """The baseline with the highest macro F1 of those that read no more than `level`.

    It is chosen by the very days it is judged on, which flatters it, and not us.
    """
    at_most = LEVELS.index(level)
    baselines = [
        row for row in evaluation.rows if not row.is_ours and LEVELS.index(row.level) <= at_most
    ]
    return max(baselines, key=lambda row: row.scores()["macro_f1"])


def _verdict(ours: Sequence[Row], evaluation: Evaluation) -> str:
    best = best_baseline(evaluation, ours[0].level)
    mean = float(np.mean([row.scores()["macro_f1"] for row in ours]))
    apart = mean - best.scores()["macro_f1"]
    ends = difference([row.tally for row in ours], [best.tally])
    what = f"{ours[0].name} ({ours[0].level}), macro F1 {mean:.3f}:"
    against = (
        f"the best baseline that reads no more, {best.name} at {best.scores()['macro_f1']:.3f}"
    )
    return f"{what} {_said(apart, ends, against)}"


def _said(apart: float, ends: Interval | None, against: str) -> str:
    if ends is None:
        return f"{apart:+.3f} from {against}; one day alone decides nothing."
    between = f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"
    if ends[0] > 0.0:
        return f"beats {against}, by {apart:.3f} {between}."
    if ends[1] < 0.0:
        return f"is behind {against}, by {-apart:.3f} {between}."
    return f"does not beat {against}: {apart:+.3f} {between}."
