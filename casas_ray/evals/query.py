"""Windows that a text describes, and texts that describe a window, by what a run learned."""

# N windows, C captions, D embedding size

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casas_ray.errors import DataError
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.evals.window_facts import WindowFact, WindowFacts
from casas_ray.files import shown
from casas_ray.records.run_result import RunResult
from casas_ray.sealed import read_sealed, write_sealed

LOOKS_FILE = "test_queries.json"
"""In a run's folder: which texts and windows were asked for among its test days."""

_QUALITY = ("text_recall@1", "text_recall@10", "recall@1", "recall@10", "chance_recall@10")

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class FoundWindow:
    """A window that was found, and how near it is: a cosine, 1 at most."""

    score: float
    window: WindowFact


@dataclass(frozen=True)
class FoundCaption:
    """A caption that was found, and how near it is."""

    score: float
    caption: str


@dataclass(frozen=True)
class Answer:
    """What is nearest to a text or to a window."""

    asked: str
    """The text, or the window's id."""

    like: WindowFact | None
    """The window that was asked with."""

    windows: Sequence[FoundWindow]
    captions: Sequence[FoundCaption]
    """Only for a window."""

    searched: int
    """How many windows."""

    quality: dict[str, float]
    """Validation metrics of the run's retrieval; empty for one without its ledger."""

    gallery: int
    """Among how many windows those were ranked."""

    caveats: tuple[str, ...]
    looks: tuple[str, ...]
    """Everything that was asked for among the run's test days."""

    def as_dict(self) -> dict[str, Any]:  # Any: what JSON holds
        """The answer as JSON can hold it."""
        return asdict(self)


def ask(
    run: TrainedRun,
    *,
    text: str = "",
    like: str = "",
    home: str = "",
    splits: Sequence[str] = ("train", "val"),
    top: int = 10,
) -> Answer:
    """The windows of some splits that are nearest to a text, or to one of these windows, which
    brings the captions nearest to it too.

    Of windows that share events with a nearer one, only the nearer one is told.

    Raises:
        DataError: the set is gone, or there is no such window or home.
        SetupError: the text model is not at hand.
    """
    prepared = run.data.prepared
    for split in splits:
        if split not in prepared.manifest["windows"]:
            raise DataError(f"{shown(prepared.folder)} has no {split} windows.")
    seen = SeenWindows.of(prepared, splits)
    facts = WindowFacts.of(prepared, seen)
    windows_ND = np.concatenate([run.encode_windows(split) for split in splits])
    inside = _of_home(facts, home)
    at = _row_of(facts, like, splits) if like else None
    asked_D = run.encode_text([text])[0] if at is None else windows_ND[at]
    score_N = windows_ND @ asked_D
    if at is not None:
        inside = inside[~_overlap(seen, at, inside)]
    rows = _apart(seen, inside[np.argsort(-score_N[inside], kind="stable")], top)
    looks = _looked(run.folder, like or text) if "test" in splits else _looks(run.folder)
    metrics = RunResult.read(run.folder).best()
    return Answer(
        like or text,
        None if at is None else facts.fact(at),
        [FoundWindow(float(score_N[row]), facts.fact(row)) for row in rows],
        [] if at is None else _captions(run, facts, inside, asked_D, top),
        len(inside),
        {name: metrics[f"val/{name}"] for name in _QUALITY if f"val/{name}" in metrics},
        int(metrics.get("val/gallery", 0)),
        run.caveats,
        looks,
    )


def _of_home(facts: WindowFacts, home: str) -> Ints:
    if home and home not in facts.homes:
        known = ", ".join(sorted(set(facts.homes.tolist())))
        raise DataError(f"no window is of home '{home}'.", hint=f"there are those of {known}.")
    return np.flatnonzero(facts.homes == home) if home else np.arange(len(facts))


def _row_of(facts: WindowFacts, like: str, splits: Sequence[str]) -> int:
    ids = facts.table.column("id").to_pylist()
    if like not in ids:
        raise DataError(
            f"no window is called '{like}' among {' and '.join(splits)} days.",
            hint=f"they are called as {ids[0]} is: home, line of the first event, events.",
        )
    return ids.index(like)


def _overlap(seen: SeenWindows, row: int, rows: Ints) -> NDArray[np.bool_]:
    """Which of the windows share events with one, itself among them."""
    first, after = seen.ranges.first, seen.ranges.after
    same_home = seen.home_E[first[rows]] == seen.home_E[first[row]]
    return same_home & (first[rows] < after[row]) & (first[row] < after[rows])


def _apart(seen: SeenWindows, ranked: Ints, top: int) -> list[int]:
    """The first of some windows that share no events with one before."""
    found: list[int] = []
    for row in ranked.tolist():
        if not _overlap(seen, row, np.array(found, dtype=np.int64)).any():
            found.append(row)
            if len(found) == top:
                break
    return found


def _captions(
    run: TrainedRun, facts: WindowFacts, rows: Ints, asked_D: Vectors, top: int
) -> list[FoundCaption]:
    """The captions of these windows that are nearest to a vector."""
    held = facts.caption_N[rows]
    ids = np.unique(held[held >= 0])
    texts = [facts.captions[int(index)] for index in ids]
    score_C = run.encode_text(texts) @ asked_D if texts else np.empty(0)
    nearest = np.argsort(-score_C, kind="stable")[:top]
    return [FoundCaption(float(score_C[index]), texts[index]) for index in nearest.tolist()]


def _looks(run: Path) -> tuple[str, ...]:
    path = run / LOOKS_FILE
    if not path.exists():
        return ()
    held = read_sealed(path, hint=f"delete {shown(path)}, and say so where you report results.")
    return tuple(str(asked) for asked in held["asked"])


def _looked(run: Path, asked: str) -> tuple[str, ...]:
    """Every look so far, with one more, which is written down."""
    looks = tuple(dict.fromkeys([*_looks(run), asked]))
    write_sealed(run / LOOKS_FILE, {"asked": list(looks)})
    return looks
