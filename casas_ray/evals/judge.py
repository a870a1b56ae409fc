"""The one look at the test days, and looks at validation days: a trained run, or a home without
one, beside whatever is cheaper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError
from casas_ray.evals.evaluation import (
    BASELINES,
    Contender,
    Evaluation,
    Json,
    Row,
    Watch,
    majority_row,
    rows_of,
)
from casas_ray.evals.features.hand import COUNTS, MIX
from casas_ray.evals.features.learned import captions, encoder, joined
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.few_labels import few_labels
from casas_ray.evals.given_labels import given_labels
from casas_ray.evals.protocols import Protocol, caveats_of, folds
from casas_ray.evals.scores import difference
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown
from casas_ray.loader.whole_split import split_store
from casas_ray.records.verdict import (
    EVALUATION_FILE,
    Verdict,
    record_verdict,
    recorded_verdict,
)
from casas_ray.sealed import damaged, read_sealed, write_sealed
from casas_ray.training.validation import held_out

Columns = dict[str, dict[str, float]]
"""By model or baseline, its metrics by name."""

FEW = "few_labels"
"""The key of that table among an evaluation's further ones."""

Baselines = dict[tuple[str, str], list[Row]]
"""By fingerprint and split, what needs no training: of three seeds it is computed once."""

_JSON_HAS_NO_CONTEXT = "past and both sides: alignment JSON has no events beside its windows"
_SPLITS = {"val": ("train", "val"), "test": ("train", "test")}


def unwatched(stage: str) -> None:
    """Hear nothing."""


@dataclass(frozen=True)
class Look:
    """What a look at held-out days found."""

    verdict: Verdict
    evaluation: Evaluation | None
    """None where nobody labelled the home, and of verdicts from before it was kept."""


def evaluate(
    run: TrainedRun,
    *,
    watch: Watch = unwatched,
    known: Baselines | None = None,
    few: bool = False,
) -> Look:
    """A run on the test days, beside an untrained model and the baselines.

    It is written once; a second call gives the first one's answer. `watch` hears what is at work,
    and `known` keeps what several runs of one set share. With `few`, also what is told when few
    windows are labelled.

    Raises:
        DataError: the run's set is gone, or has no test windows.
        SetupError: scikit-learn is not installed.
    """
    # One look: whoever could look again, could choose by the test days.
    before = recorded_look(run.folder)
    if before is not None:
        return before
    watch("reading the set and its caption vectors")
    _require_test(run.data.prepared)
    known = {} if known is None else known
    look = _look(run, _retrieval(run, watch), watch, known, "test", few=few)
    if look.evaluation is not None:
        # Before the verdict, which says that the look was taken.
        write_sealed(run.folder / EVALUATION_FILE, look.evaluation.as_dict())
    return Look(record_verdict(run.folder, look.verdict), look.evaluation)


def probe_validation(
    run: TrainedRun,
    *,
    watch: Watch = unwatched,
    known: Baselines | None = None,
    few: bool = False,
) -> Look:
    """The same on validation days, for choosing between recipes, but for retrieval, which the
    ledger has; never written.

    Raises:
        DataError: the run's set is gone.
        SetupError: scikit-learn is not installed.
    """
    watch("reading the set and its caption vectors")
    return _look(run, {}, watch, {} if known is None else known, "val", few=few)


def recorded_look(folder: Path) -> Look | None:
    """What was found when a run's test days were looked at, or None.

    Raises:
        DataError: it is torn, or was changed after it was written.
    """
    verdict = recorded_verdict(folder)
    if verdict is None:
        return None
    path = folder / EVALUATION_FILE
    if not path.exists():
        return Look(verdict, None)
    hint = f"delete {shown(path)}: the verdict beside it stands."
    held = read_sealed(path, hint=hint)
    try:
        return Look(verdict, Evaluation.from_dict(held))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, error, hint=hint) from None


def evaluate_set(
    prepared: PreparedSet,
    *,
    split: str,
    protocol: Protocol = "day",
    contenders: Sequence[Contender] = BASELINES,
    watch: Watch = unwatched,
    few: bool = False,
) -> Evaluation:
    """What hand-made features earn on a home that nothing was trained on.

    `split` is `val`, or `test` for a look at the test days; other protocols than `day` deal all
    days up to those.

    Raises:
        DataError: the set has no such windows, no labels, or too few days.
        SetupError: scikit-learn is not installed.
    """
    if split == "test":
        _require_test(prepared)
    if protocol == "day":
        names = _SPLITS[split]
    else:
        names = ("train", "val") + (("test",) if split == "test" else ())
    windows = SeenWindows.of(prepared, names)
    if len(set(windows.labels.tolist())) < 2:
        raise DataError(
            f"the windows of {shown(prepared.folder)} have no labels, or one alone: there is "
            "nothing to tell apart.",
            hint="`casas-ray cluster` needs no labels.",
        )
    dealt = folds(windows, protocol)
    able, left_out = _able(windows, contenders)
    rows = [majority_row(windows, dealt), *rows_of(windows, dealt, able, watch)]
    caveats = [*prepared.caveats, *caveats_of(protocol)]
    extra: Json = {"caveats": list(dict.fromkeys(caveats))}
    if few:
        extra[FEW] = few_labels(windows, dealt[0], able, watch)
    return Evaluation(protocol, split, rows, left_out, extra)


def _require_test(prepared: PreparedSet) -> None:
    if "test" not in prepared.manifest["windows"]:
        raise DataError(
            f"{shown(prepared.folder)} has no test windows.",
            hint="train again with --test-data, then evaluate.",
        )


def _able(
    windows: SeenWindows, contenders: Sequence[Contender]
) -> tuple[list[Contender], tuple[str, ...]]:
    if windows.has_context:
        return list(contenders), ()
    alone = [each for each in contenders if each.featurizer.level == "window"]
    return alone, (_JSON_HAS_NO_CONTEXT,)


def _retrieval(run: TrainedRun, watch: Watch) -> Columns:
    store = split_store(run.data.prepared, "test", run.recipe)
    vectors_NT = torch.from_numpy(run.data.vectors_NT)
    longest = int(store.length_N.max())
    columns = {}
    for name, model in (("untrained", run.untrained()), ("trained", run.model)):
        watch(f"ranking test windows, {name}")
        metrics = held_out(
            model, store, vectors_NT, run.recipe, first=0, total=len(store), longest=longest
        )
        columns[name] = {f"test/{metric}": value for metric, value in metrics.items()}
    return columns


def _look(
    run: TrainedRun, columns: Columns, watch: Watch, known: Baselines, split: str, *, few: bool
) -> Look:
    prepared = run.data.prepared
    caveats = tuple(dict.fromkeys([*prepared.caveats, *run.caveats]))
    windows = SeenWindows.of(prepared, _SPLITS[split])
    (fold,) = folds(windows, "day")
    if len(set(windows.labels[fold.train].tolist())) < 2:
        # Nobody labelled this home: there is nothing to probe for.
        return Look(Verdict(run.step, caveats, columns), None)
    baselines, left_out = _able(windows, BASELINES)
    shared = known.setdefault((prepared.fingerprint, split), [])
    if not shared:
        shared += [majority_row(windows, [fold]), *rows_of(windows, [fold], baselines, watch)]
    ours = _of_run(run)
    rows = [*shared, *rows_of(windows, [fold], ours, watch)]
    extra: Json = {"caveats": list(caveats)}
    if few:
        extra[FEW] = few_labels(windows, fold, [*baselines, *ours], watch, given_labels(run))
    evaluation = Evaluation("day", split, rows, left_out, extra)
    return Look(_verdict(run, caveats, columns, evaluation), evaluation)


def _of_run(run: TrainedRun) -> list[Contender]:
    vectors_NT = torch.from_numpy(run.data.vectors_NT)
    trained = encoder("trained", run.model, vectors_NT)
    return [
        Contender(captions(run.data.vectors_NT)),
        Contender(encoder("untrained", run.untrained(), vectors_NT)),
        Contender(trained, is_ours=True),
        Contender(joined("trained + hand mix", [trained, MIX]), is_ours=True),
    ]


def _verdict(
    run: TrainedRun, caveats: tuple[str, ...], columns: Columns, evaluation: Evaluation
) -> Verdict:
    """The columns with probe scores under the names that they have always had."""
    told = dict(columns)
    for name in ("untrained", "trained", COUNTS.name, "majority"):
        scores = evaluation.named(name).scores()
        probed = {f"{evaluation.split}/probe_{metric}": each for metric, each in scores.items()}
        told[name] = told.get(name, {}) | probed
    ours, theirs = evaluation.named("trained"), evaluation.named(COUNTS.name)
    ends = difference([ours.tally], [theirs.tally])
    return Verdict(run.step, caveats, told, ends)
