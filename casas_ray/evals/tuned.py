"""Probes that are tuned: classifiers of window vectors, chosen by blocks of training days.

Labels are used here alone, after any training, to judge. Whatever is compared is tuned by this same
code: a baseline that was not is a way of flattering. scikit-learn does the work.
"""

# N windows, W width of a vector

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from casas_ray.corpus.events import NO_ACTIVITY
from casas_ray.errors import SetupError
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.seen import Ints, Labels
from casas_ray.evals.scores import Guesses, f1_scores

UNLABELLED = frozenset({NO_ACTIVITY, "Other_Activity", "Other"})
"""Labels that say only that nobody labelled the window."""

Kind = Literal["regression", "forest"]

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""C of the logistic regression: the larger, the less it is held back."""

_BLOCKS = 4
_TREES, _TREES_TO_CHOOSE = 150, 25
_ITERATIONS = 500
_STILL, FAR = 1e-6, 100.0
"""A spread that is none, and the most spreads that a value may lie from the mean."""

_FEW_WINDOWS = 2000
"""Trees grown on so few are grown sooner than threads are started for them."""

Classifier = Any  # Any: scikit-learn has no types


@dataclass(frozen=True)
class Part:
    """Windows of one side of a fold."""

    vectors_NW: Vectors
    labels: Labels
    day_N: Ints

    def rows(self, rows: Ints) -> "Part":
        """Some of the windows."""
        return Part(self.vectors_NW[rows], self.labels[rows], self.day_N[rows])

    def labelled(self) -> "Part":
        """The part without the windows that nobody labelled."""
        return self.rows(np.flatnonzero(~np.isin(self.labels, sorted(UNLABELLED))))

    @property
    def classes(self) -> int:
        """How many labels it has."""
        return len(set(self.labels.tolist()))


@dataclass(frozen=True)
class Probed:
    """What a probe says of the windows that are judged, and how it was chosen."""

    guesses: Guesses
    labelled: Guesses | None
    """Of the windows that somebody labelled, by a probe fitted on such windows alone, as strong as
    the one of all windows; None where those are of one class or none is judged."""

    chosen: str
    curve: dict[str, float]
    """The macro F1 of each candidate on blocks of training days, each left out in turn."""


def probe(train: Part, judged: Part, kind: Kind = "regression") -> Probed:
    """A classifier fitted on training days, its strength or its trees chosen by blocks of those
    days, each left out in turn; then asked for the judged windows.

    Raises:
        SetupError: scikit-learn is not installed.
    """
    require_scikit_learn()
    with undisturbed():
        curve = _curve(train, kind)
        chosen = max(curve, key=lambda name: curve[name])
        guessed = _guessed(kind, chosen, train, judged)
        known, asked = train.labelled(), judged.labelled()
        labelled = None
        if known.classes > 1 and len(asked.labels):
            labels = _guessed(kind, chosen, known, asked)
            labelled = Guesses(asked.labels, labels, asked.day_N)
    return Probed(Guesses(judged.labels, guessed, judged.day_N), labelled, chosen, curve)


def majority(train: Part, judged: Part) -> Probed:
    """The training days' most frequent label, always guessed."""
    known, asked = train.labelled(), judged.labelled()
    labelled = _most_frequent(known, asked) if len(known.labels) and len(asked.labels) else None
    return Probed(_most_frequent(train, judged), labelled, "", {})


def _most_frequent(train: Part, judged: Part) -> Guesses:
    names, counts = np.unique(train.labels, return_counts=True)
    guessed = np.full(len(judged.labels), names[counts.argmax()])
    return Guesses(judged.labels, guessed, judged.day_N)


def block_of(day_N: Ints) -> Ints:
    """For each window its block of days, four in time order; of a single day, a quarter of its
    windows."""
    days, index_N = np.unique(day_N, return_inverse=True)
    if len(days) == 1:
        days, index_N = np.arange(len(day_N)), np.arange(len(day_N))
    blocks = np.array_split(np.arange(len(days)), min(_BLOCKS, len(days)))
    block_D = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    return block_D[index_N]


def _curve(train: Part, kind: Kind) -> dict[str, float]:
    block_N = block_of(train.day_N)
    guessed: dict[str, list[Labels]] = {}
    true = []
    for block in np.unique(block_N).tolist():
        left_out = train.rows(np.flatnonzero(block_N == block))
        fitted_on = train.rows(np.flatnonzero(block_N != block))
        true.append(left_out.labels)
        for name, labels in _candidates(kind, fitted_on, left_out):
            guessed.setdefault(name, []).append(labels)
    return {
        name: f1_scores(np.concatenate(true), np.concatenate(parts))["macro_f1"]
        for name, parts in guessed.items()
    }


def _candidates(kind: Kind, train: Part, asked: Part) -> Iterator[tuple[str, Labels]]:
    """What each candidate says of the windows asked for."""
    if kind == "regression":
        fitted, asked_NW = _scaled(train, asked)
        model = _regression(STRENGTHS[0])
        for strength in STRENGTHS:
            # From the last one on: the path costs half of what so many fits would.
            model.set_params(C=strength, warm_start=True)
            yield _named(strength), _said(model, fitted, asked_NW)
        return
    for name, forest in _forests(_TREES_TO_CHOOSE, len(train.labels)).items():
        yield name, _said(forest, train, asked.vectors_NW)


def _guessed(kind: Kind, chosen: str, train: Part, asked: Part) -> Labels:
    if kind == "forest":
        forest = _forests(_TREES, len(train.labels))[chosen]
        return _said(forest, train, asked.vectors_NW)
    fitted, asked_NW = _scaled(train, asked)
    strength = next(each for each in STRENGTHS if _named(each) == chosen)
    return _said(_regression(strength), fitted, asked_NW)


def _said(model: Classifier, train: Part, asked_NW: Vectors) -> Labels:
    if train.classes < 2:  # which scikit-learn refuses to fit
        return np.full(len(asked_NW), train.labels[0])
    return model.fit(train.vectors_NW, train.labels).predict(asked_NW)


def _scaled(train: Part, asked: Part) -> tuple[Part, Vectors]:
    train_NW = standardised(train.vectors_NW, train.vectors_NW)
    asked_NW = standardised(asked.vectors_NW, train.vectors_NW)
    return Part(train_NW, train.labels, train.day_N), asked_NW


def standardised(vectors_NW: Vectors, train_NW: Vectors) -> Vectors:
    """The vectors with each column of the mean 0 and the spread 1 over training windows."""
    mean_W, spread_W = scale_of(train_NW)
    return np.clip((vectors_NW - mean_W) / spread_W, -FAR, FAR)


def scale_of(train_NW: Vectors) -> tuple[Vectors, Vectors]:
    """The mean and the spread of each column, W each."""
    mean_W, spread_W = train_NW.mean(axis=0), train_NW.std(axis=0)
    # What hardly ever moves in training, such as a count that has all but decayed, would be blown
    # up to anything; later windows may lie far out all the same.
    return mean_W, np.where(spread_W > _STILL, spread_W, 1.0)


def _named(strength: float) -> str:
    return f"C={strength:g}"


def _regression(strength: float) -> Classifier:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=_ITERATIONS)


def _forests(trees: int, windows: int) -> Mapping[str, Classifier]:
    import sklearn.ensemble

    forest: Classifier = sklearn.ensemble.RandomForestClassifier

    cores = len(os.sched_getaffinity(0)) if windows > _FEW_WINDOWS else 1
    return {
        f"leaves of {leaf}, {named} of the columns": forest(
            trees, min_samples_leaf=leaf, max_features=share, random_state=0, n_jobs=cores
        )
        for leaf, named, share in ((1, "root", "sqrt"), (1, "0.2", 0.2), (3, "0.2", 0.2))
    }


def require_scikit_learn() -> None:
    """Refuse to go on without it.

    Raises:
        SetupError: it is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise SetupError(
            "probes and clusters need scikit-learn, which is not installed.",
            hint="pip install 'casas-ray[probe]'",
        ) from None


@contextmanager
def undisturbed() -> Iterator[None]:
    """A block in which scikit-learn computes with one thread, and warns of nothing.

    Trees grow with all cores all the same.
    """
    # A product of a few thousand rows gains nothing from a second thread, and waits for it.
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        # An end after so many steps is one more way of holding back, and the same for everybody.
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
