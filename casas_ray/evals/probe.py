"""Linear probes: what a window vector tells of activities, beside what counting sensors tells.

Labels are used here alone, after training, to judge. A logistic regression (scikit-learn) is fitted
on training days, its strength chosen on validation days, and judged on test days.
"""

# N windows, B windows of a chunk, W width of a vector, C classes, V ids of a field; in
# `vectors_NT`, N texts of the set and T size of a text vector

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
"""Labels that say only that nobody labelled the window."""

_STRENGTHS = (0.003, 0.03, 0.3)
_CHUNK = 256
_RESAMPLES = 500

Vectors = NDArray[np.float64]
Labels = NDArray[np.str_]
"""Names of activities, one a window."""


@dataclass(frozen=True)
class Split:
    """The windows of one split as a probe sees them."""

    vectors_NW: Vectors
    labels: Labels
    day_N: NDArray[np.int64]
    """Days since 1970, by the home's clock."""

    def labelled(self) -> "Split":
        """The split without the windows that nobody labelled."""
        known_N = ~np.isin(self.labels, sorted(UNLABELLED))
        return Split(self.vectors_NW[known_N], self.labels[known_N], self.day_N[known_N])


Splits = Mapping[str, Split]
"""By name: train, val and test; or train and val, for a look at validation days."""


def encoded(
    model: DualEncoder, prepared: PreparedSet, vectors_NT: torch.Tensor, splits: Sequence[str]
) -> Splits:
    """Each split through the encoder: the pooled vectors before the projection, N x W.

    `vectors_NT` are the text model's, of the set's captions and descriptions.
    """
    return {
        split: _split(prepared.windows(split), _vectors(model, prepared.windows(split), vectors_NT))
        for split in splits
    }


@torch.inference_mode()
def _vectors(model: DualEncoder, table: pa.Table, vectors_NT: torch.Tensor) -> Vectors:
    store = WindowStore.of(table)
    chunks = []
    for start in range(0, len(store), _CHUNK):
        rows_B = np.arange(start, min(start + _CHUNK, len(store)))
        chunks.append(model.pooled(store.fixed_batch(rows_B, vectors_NT)).float().cpu().numpy())
    return np.concatenate(chunks).astype(np.float64)


def counted(prepared: PreparedSet, splits: Sequence[str]) -> Splits:
    """The baseline that anybody would try first: events by sensor and state, their number, and the
    time of day as a point on a circle."""
    sizes = prepared.vocabulary.sizes()
    return {
        split: _split(prepared.windows(split), _counts(prepared.windows(split), sizes))
        for split in splits
    }


def _counts(table: pa.Table, sizes: Mapping[str, int]) -> Vectors:
    length_N = table.column("length").to_numpy()
    rows = np.repeat(np.arange(len(length_N)), length_N)
    parts = [length_N[:, None].astype(np.float64)]
    for field in ("sensor", "state"):
        counts_NV = np.zeros((len(length_N), sizes[field]))
        # `add.at`: plain indexing with += counts an event that comes twice in a window once.
        np.add.at(counts_NV, (rows, flat(table, FIELD_PREFIX + field)), 1.0)
        parts.append(counts_NV)
    angle_N = 2 * np.pi * (table.column("start_us").to_numpy() % US_PER_DAY) / US_PER_DAY
    return np.concatenate([*parts, np.sin(angle_N)[:, None], np.cos(angle_N)[:, None]], axis=1)


def _split(table: pa.Table, vectors_NW: Vectors) -> Split:
    day_N = table.column("start_us").to_numpy() // US_PER_DAY
    return Split(vectors_NW, np.array(table.column("label").to_pylist()), day_N)


@dataclass(frozen=True)
class ProbeResult:
    """What a probe made of the windows of the split that it was judged on."""

    scores: dict[str, float]
    """macro_f1 and weighted_f1 of all windows; the same with `_labelled` of those that somebody
    labelled, by a probe fitted on such windows alone."""

    true: Labels
    guessed: Labels
    day_N: NDArray[np.int64]


def probe(splits: Splits, *, split: str) -> ProbeResult:
    """The result of a probe fitted on train, chosen on val and judged on the split named.

    A look at validation days (`split="val"`) chooses on the last tenth of the training windows.

    Raises:
        SetupError: scikit-learn is not installed.
    """
    everything = _fitted(splits, split)
    known = _labelled(splits)
    scores = dict(everything.scores)
    if len(set(known["train"].labels)) > 1 and len(known[split].labels):
        labelled = _fitted(known, split).scores
        scores |= {f"{name}_labelled": value for name, value in labelled.items()}
    return ProbeResult(scores, everything.true, everything.guessed, everything.day_N)


def _labelled(splits: Splits) -> Splits:
    return {name: part.labelled() for name, part in splits.items()}


def majority(splits: Splits, *, split: str) -> dict[str, float]:
    """The F1 that the training days' most frequent label earns when it is always guessed."""
    scores = {}
    for suffix, parts in (("", splits), ("_labelled", _labelled(splits))):
        names, counts = np.unique(parts["train"].labels, return_counts=True)
        true = parts[split].labels
        if len(names) and len(true):
            f1 = f1_scores(true, np.full(len(true), names[counts.argmax()]))
            scores |= {f"{name}{suffix}": value for name, value in f1.items()}
    return scores


def _fitted(splits: Splits, split: str) -> ProbeResult:
    train, goal = splits["train"], splits[split]
    choose = splits["val"]
    if split == "val":
        # Windows stand in time order, so this is the last days: neighbours share events, and drawn
        # at random they would be on both sides.
        cut = int(0.9 * len(train.labels))
        choose = Split(train.vectors_NW[cut:], train.labels[cut:], train.day_N[cut:])
        train = Split(train.vectors_NW[:cut], train.labels[:cut], train.day_N[:cut])
    fits = [_regression(strength).fit(train.vectors_NW, train.labels) for strength in _STRENGTHS]
    f1 = [f1_scores(choose.labels, fit.predict(choose.vectors_NW))["macro_f1"] for fit in fits]
    guessed = fits[int(np.argmax(f1))].predict(goal.vectors_NW)
    return ProbeResult(f1_scores(goal.labels, guessed), goal.labels, guessed, goal.day_N)


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
    """The macro and weighted F1 over the classes that the true labels have."""
    classes, true_N = np.unique(true, return_inverse=True)
    known = {name: index for index, name in enumerate(classes.tolist())}
    # A guess of a class that the true labels lack is wrong, but adds no class to the mean.
    guess_N = np.array([known.get(name, -1) for name in guessed.tolist()])
    support_C = np.bincount(true_N, minlength=len(classes)).astype(np.float64)
    right_C = np.bincount(true_N[true_N == guess_N], minlength=len(classes))
    guesses_C = np.bincount(guess_N[guess_N >= 0], minlength=len(classes))
    f1_C = 2.0 * right_C / np.maximum(support_C + guesses_C, 1.0)
    return {
        "macro_f1": float(f1_C.mean()),
        "weighted_f1": float((f1_C * support_C).sum() / support_C.sum()),
    }


def difference_over_days(
    ours: ProbeResult, theirs: ProbeResult, *, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of the difference in macro F1, ours less theirs; None where all windows are
    of one day.

    By the bootstrap (Efron 1979) over whole days, for windows of one day are no independent
    witnesses.
    """
    days = np.unique(ours.day_N)
    if len(days) < 2:
        return None  # one day drawn again and again is that day: its interval would have no width
    rows = {day: np.flatnonzero(ours.day_N == day) for day in days.tolist()}
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(_RESAMPLES):
        # The same days for both: a hard day lowers both, and only what is between them counts.
        drawn = np.concatenate([rows[day] for day in rng.choice(days, size=len(days)).tolist()])
        our_f1 = f1_scores(ours.true[drawn], ours.guessed[drawn])["macro_f1"]
        their_f1 = f1_scores(theirs.true[drawn], theirs.guessed[drawn])["macro_f1"]
        differences.append(our_f1 - their_f1)
    low, high = np.quantile(differences, [0.025, 0.975]).tolist()
    return low, high
