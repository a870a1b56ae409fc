"""What vectors tell when somebody labelled little: a few windows a class, or a few whole days."""

# N windows, W width of a vector

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from casas_ray.evals.evaluation import Contender, Json, Watch
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, Labels, SeenWindows
from casas_ray.evals.scores import f1_scores
from casas_ray.evals.tuned import require_scikit_learn, standardised, undisturbed

A_CLASS = (1, 5, 10, 50)
DAYS = (1, 3, 7, 14)
DRAWS = 20

How = Literal["labels a class", "whole days"]
Reader = Literal["probe", "neighbours"]

_STRENGTH, _ITERATIONS = 1.0, 100
_NEAREST = 5


@dataclass(frozen=True)
class Drawn:
    """Some training windows that are labelled, and nothing else."""

    how: How
    amount: int
    draws: tuple[Ints, ...]
    """Indices of the windows, draw after draw."""


def few_labels(
    windows: SeenWindows,
    fold: Fold,
    contenders: Sequence[Contender],
    watch: Watch,
    given: Mapping[str, str] | None = None,
) -> list[Json]:
    """A row for each of the contenders' vectors, each classifier and each amount of labels: macro
    and weighted F1 of the judged windows, the mean and the standard deviation over draws.

    The same draws for all. Nothing is tuned, for there is nothing to tune by: a logistic regression
    of C = 1, and the five nearest labelled windows. `given` are labels that a person gave to
    windows, by id; they are a row of their own.

    Raises:
        SetupError: scikit-learn is not installed.
    """
    require_scikit_learn()
    rows: list[Json] = []
    drawn = list(draws(windows, fold))
    ours = _given(windows, fold, given) if given else None
    done: set[str] = set()
    with undisturbed(), warnings.catch_warnings():
        # One label a class is the very case that scikit-learn takes for a mistake.
        warnings.simplefilter("ignore", UserWarning)
        for contender in contenders:
            featurizer = contender.featurizer
            if featurizer.name in done:  # forests read the same vectors
                continue
            done.add(featurizer.name)
            watch(f"few labels, {featurizer.name}")
            vectors_NW = featurizer.make(windows, fold)
            scaled_NW = standardised(vectors_NW, vectors_NW[fold.train]).astype(np.float32)
            plain_NW = vectors_NW.astype(np.float32) if featurizer.one_scale else scaled_NW
            about = {
                "name": featurizer.name,
                "level": featurizer.level,
                "ours": contender.is_ours,
            }
            for reader, read_NW in (("probe", scaled_NW), ("neighbours", plain_NW)):
                told = {**about, "reader": reader}
                for each in drawn:
                    scores = [
                        _scores(reader, read_NW, rows_T, windows.labels[rows_T], windows, fold)
                        for rows_T in each.draws
                    ]
                    rows.append({**told, "how": each.how, "amount": each.amount, **_mean(scores)})
                if ours is not None:
                    scores = [_scores(reader, read_NW, *ours, windows, fold)]
                    given_row = {"how": "given by a person", "amount": len(ours[0])}
                    rows.append({**told, **given_row, **_mean(scores)})
    return rows


def draws(windows: SeenWindows, fold: Fold, *, seed: int = 0) -> Iterator[Drawn]:
    """Which training windows are labelled, in 20 draws of each amount; of a class that has fewer
    windows all, and no more days than there are."""
    labels, day_N = windows.labels[fold.train], windows.day_N[fold.train]
    classes = [fold.train[labels == name] for name in np.unique(labels).tolist()]
    for amount in A_CLASS:
        rng = np.random.default_rng((seed, amount))
        yield Drawn(
            "labels a class",
            amount,
            tuple(
                np.sort(np.concatenate([rng.permutation(rows)[:amount] for rows in classes]))
                for _ in range(DRAWS)
            ),
        )
    days = np.unique(day_N)
    for amount in DAYS:
        if amount >= len(days):
            break
        rng = np.random.default_rng((seed, 1000 + amount))
        chosen = (rng.permutation(days)[:amount] for _ in range(DRAWS))
        rows = tuple(fold.train[np.isin(day_N, some)] for some in chosen)
        yield Drawn("whole days", amount, rows)


def _given(
    windows: SeenWindows, fold: Fold, given: Mapping[str, str]
) -> tuple[Ints, Labels] | None:
    """The training windows that a person labelled, and what they are."""
    ids = windows.table.column("id").to_pylist()
    rows = [row for row in fold.train.tolist() if ids[row] in given]
    labels = np.array([given[ids[row]] for row in rows])
    return (np.array(rows, dtype=np.int64), labels) if rows else None


def _scores(
    reader: str, vectors_NW: Any, rows_T: Ints, labels: Labels, windows: SeenWindows, fold: Fold
) -> dict[str, float]:
    guessed = _said(reader, vectors_NW[rows_T], labels, vectors_NW[fold.judged])
    return f1_scores(windows.labels[fold.judged], guessed)


def _said(reader: str, train_TW: Vectors, labels: Labels, asked_NW: Vectors) -> Labels:
    if len(set(labels.tolist())) < 2:  # which scikit-learn refuses to fit
        return np.full(len(asked_NW), labels[0])
    if reader == "probe":
        from sklearn.linear_model import LogisticRegression

        model: Any = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS)
    else:
        from sklearn.neighbors import KNeighborsClassifier

        model = KNeighborsClassifier(min(_NEAREST, len(labels)), weights="distance")
    return model.fit(train_TW, labels).predict(asked_NW)


def _mean(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found = {}
    for name in ("macro_f1", "weighted_f1"):
        values = [each[name] for each in scores]
        found[name] = float(np.mean(values))
        found[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return found
