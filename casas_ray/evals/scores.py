"""F1 of guessed labels, what is left of it when days are drawn again, and what is between two."""

# N windows, D days of all folds, C classes, R times that days are drawn again, S seeds

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.evals.features.seen import Ints, Labels

Numbers = NDArray[np.float64]
_RESAMPLES = 1000

Interval = tuple[float, float]
"""95 %, by the bootstrap (Efron 1979) over whole days, for windows of one day are no independent
witnesses; over seeds too, where there are several."""


@dataclass(frozen=True)
class Guesses:
    """What was guessed of the windows of one fold."""

    true: Labels
    guessed: Labels
    day_N: Ints


def f1_scores(true: Labels, guessed: Labels) -> dict[str, float]:
    """The macro and weighted F1 over the classes that the true labels have."""
    tally = Tally.of([Guesses(true, guessed, np.zeros(len(true), dtype=np.int64))])
    return tally.scores()


@dataclass(frozen=True)
class Tally:
    """What guesses came to, day by day: all that any F1 is made of."""

    fold_D: Ints
    right_DC: Numbers
    true_DC: Numbers
    guessed_DC: Numbers

    @classmethod
    def of(cls, folds: Sequence[Guesses]) -> "Tally":
        """The tally of the guesses of each fold."""
        classes = np.unique(np.concatenate([guesses.true for guesses in folds]))
        parts = [_counts(guesses, classes) for guesses in folds]
        fold_D = np.repeat(np.arange(len(folds)), [len(part[0]) for part in parts])
        return cls(fold_D, *(np.concatenate(each) for each in zip(*parts, strict=True)))

    def scores(self) -> dict[str, float]:
        """macro_f1 and weighted_f1, each the mean over the folds."""
        once_RD = np.ones((1, len(self.fold_D)))
        macro, weighted = self.f1(once_RD)
        return {"macro_f1": float(macro[0]), "weighted_f1": float(weighted[0])}

    def by_fold(self) -> list[float]:
        """The macro F1 of each fold."""
        each = [self._of(days_D) for days_D in self._folds()]
        return [part.scores()["macro_f1"] for part in each]

    def _of(self, days_D: NDArray[np.bool_]) -> "Tally":
        parts = (self.right_DC, self.true_DC, self.guessed_DC)
        return Tally(self.fold_D[days_D], *(part[days_D] for part in parts))

    def f1(self, times_RD: Numbers) -> tuple[Numbers, Numbers]:
        """The macro and weighted F1, R each, where day d counts so many times; means over folds."""
        each = [
            _f1(times_RD[:, fold], self.right_DC[fold], self.true_DC[fold], self.guessed_DC[fold])
            for fold in self._folds()
        ]
        macro, weighted = (np.mean(parts, axis=0) for parts in zip(*each, strict=True))
        return macro, weighted

    def _folds(self) -> list[NDArray[np.bool_]]:
        return [self.fold_D == fold for fold in np.unique(self.fold_D).tolist()]

    def drawn_again(self, seed: int = 0) -> Numbers | None:
        """R x D: how often each day is drawn, within its fold; None where some fold has one day."""
        rng = np.random.default_rng(seed)
        times_RD = np.zeros((_RESAMPLES, len(self.fold_D)))
        for days_D in self._folds():
            count = int(days_D.sum())
            if count < 2:
                return None  # one day drawn again and again is that day
            times_RD[:, days_D] = rng.multinomial(count, [1 / count] * count, size=_RESAMPLES)
        return times_RD


def _counts(guesses: Guesses, classes: Labels) -> tuple[Numbers, Numbers, Numbers]:
    """D x C each: windows guessed rightly, that are of the class, and that are guessed as it."""
    days, day_N = np.unique(guesses.day_N, return_inverse=True)
    shape = len(days), len(classes)
    # A guess of a class that the true labels lack is wrong, but adds no class to the mean.
    columns = [_columns(classes, labels) for labels in (guesses.true, guesses.guessed)]
    right_N = columns[0] == columns[1]
    return (
        _table(day_N[right_N], columns[0][right_N], shape),
        _table(day_N, columns[0], shape),
        _table(day_N, columns[1], shape),
    )


def _columns(classes: Labels, labels: Labels) -> Ints:
    found = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    return np.where(classes[found] == labels, found, len(classes))


def _table(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Numbers:
    days, classes = shape
    cells = np.bincount(rows * (classes + 1) + columns, minlength=days * (classes + 1))
    return cells.reshape(days, classes + 1)[:, :classes].astype(np.float64)


def _f1(
    times_RD: Numbers, right_DC: Numbers, true_DC: Numbers, guessed_DC: Numbers
) -> tuple[Numbers, Numbers]:
    right_RC, true_RC, guessed_RC = (times_RD @ each for each in (right_DC, true_DC, guessed_DC))
    f1_RC = 2.0 * right_RC / np.maximum(true_RC + guessed_RC, 1.0)
    macro_R = f1_RC.sum(1) / np.maximum((true_RC > 0).sum(1), 1)
    weighted_R = (f1_RC * true_RC).sum(1) / np.maximum(true_RC.sum(1), 1.0)
    return macro_R, weighted_R


def interval(seeds: Sequence[Tally]) -> Interval | None:
    """The interval of the macro F1 over days and seeds; None where some fold is of one day."""
    drawn_R = _drawn(seeds)
    return None if drawn_R is None else _ends(drawn_R)


def difference(ours: Sequence[Tally], theirs: Sequence[Tally]) -> Interval | None:
    """The interval of ours less theirs in macro F1, on the same days; None as for `interval`.

    The same days are drawn for both: a hard day lowers both, and only what is between them counts.
    """
    our_R, their_R = _drawn(ours), _drawn(theirs)
    return None if our_R is None or their_R is None else _ends(our_R - their_R)


def _drawn(seeds: Sequence[Tally]) -> Numbers | None:
    times_RD = seeds[0].drawn_again()
    if times_RD is None:
        return None
    macro_RS = np.stack([tally.f1(times_RD)[0] for tally in seeds], axis=1)
    drawn_RS = np.random.default_rng(len(seeds)).integers(len(seeds), size=macro_RS.shape)
    return np.take_along_axis(macro_RS, drawn_RS, axis=1).mean(1)


def _ends(values_R: Numbers) -> Interval:
    low, high = np.quantile(values_R, [0.025, 0.975]).tolist()
    return low, high
