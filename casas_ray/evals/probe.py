"""Linear probes: what a window vector tells of activities, beside what counting sensors tells.

Labels are used here alone, after training, to judge. A logistic regression (scikit-learn) is fitted
on training days, its strength chosen on validation days, and judged on test days.
"""

# N windows, W width of a vector, C classes

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from casas_ray.corpus.alignment import FIELD_PREFIX, PreparedSet, flat
from casas_ray.corpus.events import NO_ACTIVITY, US_PER_DAY
from casas_ray.errors import SetupError
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.dual import DualEncoder

UNLABELLED = frozenset({NO_ACTIVITY, "Other_Activity", "Other"})
"""Labels that say only that nobody labelled it."""

_STRENGTHS = (0.003, 0.03, 0.3)
_CHUNK = 256
_RESAMPLES = 500

Vectors = NDArray[np.float64]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Split:
    """The windows of one split as a probe sees them."""

    vectors: Vectors
    labels: Labels
    day: NDArray[np.int64]

    def labelled(self) -> "Split":
        """Without the windows that nobody labelled."""
        known = ~np.isin(self.labels, sorted(UNLABELLED))
        return Split(self.vectors[known], self.labels[known], self.day[known])


Splits = Mapping[str, Split]
"""train, val and test; or train and val, for a look at validation days."""


def encoded(
    model: DualEncoder, prepared: PreparedSet, texts: torch.Tensor, splits: Sequence[str]
) -> Splits:
    """Each split through the encoder: the pooled vectors before the projection, N x W.

    `texts` are the text model's vectors of the set's captions and descriptions.
    """
    return {
        split: _split(prepared.windows(split), _vectors(model, prepared.windows(split), texts))
        for split in splits
    }


@torch.inference_mode()
def _vectors(model: DualEncoder, table: pa.Table, texts: torch.Tensor) -> Vectors:
    shard = WindowStore.of(table)
    found = []
    for start in range(0, len(shard), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(shard)))
        found.append(model.pooled(shard.fixed_batch(rows, texts)).float().cpu().numpy())
    return np.concatenate(found).astype(np.float64)


def counted(prepared: PreparedSet, splits: Sequence[str]) -> Splits:
    """The baseline that anybody would try first: events by sensor and state, their number, and the
    time of day as a point on a circle."""
    sizes = prepared.vocabulary.sizes()
    return {
        split: _split(prepared.windows(split), _counts(prepared.windows(split), sizes))
        for split in splits
    }


def _counts(table: pa.Table, sizes: Mapping[str, int]) -> Vectors:
    length = table.column("length").to_numpy()
    row = np.repeat(np.arange(len(length)), length)
    parts = [length[:, None].astype(np.float64)]
    for field in ("sensor", "state"):
        counts = np.zeros((len(length), sizes[field]))
        np.add.at(counts, (row, flat(table, FIELD_PREFIX + field)), 1.0)
        parts.append(counts)
    angle = 2 * np.pi * (table.column("start_us").to_numpy() % US_PER_DAY) / US_PER_DAY
    return np.concatenate([*parts, np.sin(angle)[:, None], np.cos(angle)[:, None]], axis=1)


def _split(table: pa.Table, vectors: Vectors) -> Split:
    day = table.column("start_us").to_numpy() // US_PER_DAY
    return Split(vectors, np.array(table.column("label").to_pylist()), day)


@dataclass(frozen=True)
class Told:
    """What a probe told of the judged windows."""

    scores: dict[str, float]
    """macro_f1 and weighted_f1 of all windows; the same with `_labelled` of those that somebody
    labelled, by a probe fitted on such windows alone."""

    true: Labels
    guessed: Labels
    day: NDArray[np.int64]


def probe(splits: Splits, *, judged: str) -> Told:
    """Fit on train, choose on val, judge the split named.

    A look at validation days (`judged="val"`) chooses on the last tenth of the training windows.

    Raises:
        SetupError: scikit-learn is not installed.
    """
    everything = _fitted(splits, judged)
    known = {name: split.labelled() for name, split in splits.items()}
    scores = dict(everything.scores)
    if len(set(known["train"].labels)) > 1 and len(known[judged].labels):
        found = _fitted(known, judged).scores
        scores |= {f"{name}_labelled": value for name, value in found.items()}
    return Told(scores, everything.true, everything.guessed, everything.day)


def majority(splits: Splits, *, judged: str) -> dict[str, float]:
    """What always telling the training days' most frequent label earns."""
    scores = {}
    for suffix, part in (
        ("", splits),
        ("_labelled", {name: split.labelled() for name, split in splits.items()}),
    ):
        names, counts = np.unique(part["train"].labels, return_counts=True)
        if len(names) and len(part[judged].labels):
            guess = np.full(len(part[judged].labels), names[counts.argmax()])
            found = f1_scores(part[judged].labels, guess)
            scores |= {f"{name}{suffix}": value for name, value in found.items()}
    return scores


def _fitted(splits: Splits, judged: str) -> Told:
    train, goal = splits["train"], splits[judged]
    choose = splits["val"]
    if judged == "val":
        cut = int(0.9 * len(train.labels))
        choose = Split(train.vectors[cut:], train.labels[cut:], train.day[cut:])
        train = Split(train.vectors[:cut], train.labels[:cut], train.day[:cut])
    ways = [_regression(strength).fit(train.vectors, train.labels) for strength in _STRENGTHS]
    marks = [f1_scores(choose.labels, way.predict(choose.vectors))["macro_f1"] for way in ways]
    best = ways[int(np.argmax(marks))]
    guessed = best.predict(goal.vectors)
    return Told(f1_scores(goal.labels, guessed), goal.labels, guessed, goal.day)


def _regression(strength: float) -> Any:  # Any: scikit-learn has no types
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError:
        raise SetupError(
            "probes need scikit-learn, which is not installed.",
            hint="pip install 'casas-ray[probe]'",
        ) from None
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200, tol=1e-3))


def f1_scores(true: Labels, guessed: Labels) -> dict[str, float]:
    """Macro and weighted F1 over the classes that the true labels have."""
    classes, code = np.unique(true, return_inverse=True)
    known = {name: index for index, name in enumerate(classes.tolist())}
    guess = np.array([known.get(name, -1) for name in guessed.tolist()])
    support = np.bincount(code, minlength=len(classes)).astype(np.float64)
    right = np.bincount(code[code == guess], minlength=len(classes))
    told = np.bincount(guess[guess >= 0], minlength=len(classes))
    f1 = 2.0 * right / np.maximum(support + told, 1.0)
    return {
        "macro_f1": float(f1.mean()),
        "weighted_f1": float((f1 * support).sum() / support.sum()),
    }


def difference_over_days(ours: Told, theirs: Told, *, seed: int = 0) -> tuple[float, float]:
    """A 95 % interval of the difference in macro F1: whole days are drawn again, for windows of one
    day are no independent witnesses."""
    days = np.unique(ours.day)
    rows = {day: np.flatnonzero(ours.day == day) for day in days.tolist()}
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([rows[day] for day in rng.choice(days, size=len(days)).tolist()])
        one = f1_scores(ours.true[drawn], ours.guessed[drawn])["macro_f1"]
        two = f1_scores(theirs.true[drawn], theirs.guessed[drawn])["macro_f1"]
        found.append(one - two)
    low, high = np.quantile(found, [0.025, 0.975]).tolist()
    return low, high
