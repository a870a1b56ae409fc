"""The one look at the test days, and looks at validation days: a trained run beside what is
cheaper."""

from collections.abc import Callable

import torch

from casas_ray.errors import DataError
from casas_ray.evals.probe import counted, difference_over_days, encoded, majority, probe
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown
from casas_ray.loader.window_store import WindowStore
from casas_ray.records.verdict import Verdict, record_verdict, recorded_verdict
from casas_ray.training.validation import held_out

Watch = Callable[[str], None]
"""Hears what is at work."""

Columns = dict[str, dict[str, float]]
"""By model or baseline, its metrics by name."""


def unwatched(stage: str) -> None:
    """Hear nothing."""


def evaluate(run: TrainedRun, *, watch: Watch = unwatched) -> Verdict:
    """Metrics of a run on the test days, beside an untrained model's and the baselines' probes.

    It is written once; a second call gives the first one's answer. `watch` hears what is at work.

    Raises:
        DataError: the run's set is gone, or has no test windows.
        SetupError: scikit-learn is not installed.
    """
    # One look: whoever could look again, could choose by the test days.
    before = recorded_verdict(run.folder)
    if before is not None:
        return before
    watch("reading the set and its caption vectors")
    prepared = run.data.prepared
    if "test" not in prepared.manifest["windows"]:
        raise DataError(
            f"{shown(prepared.folder)} has no test windows.",
            hint="train again with --test-data, then evaluate.",
        )
    columns = _retrieval(run, watch)
    return record_verdict(run.folder, _with_probes(run, columns, watch, split="test"))


def probe_validation(run: TrainedRun, *, watch: Watch = unwatched) -> Verdict:
    """Probe scores of a run on validation days, for choosing between recipes; never written.

    Raises:
        DataError: the run's set is gone.
        SetupError: scikit-learn is not installed.
    """
    watch("reading the set and its caption vectors")
    return _with_probes(run, {}, watch, split="val")


def _retrieval(run: TrainedRun, watch: Watch) -> Columns:
    store = WindowStore.of(run.data.prepared.windows("test"))
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


def _with_probes(run: TrainedRun, columns: Columns, watch: Watch, *, split: str) -> Verdict:
    """The columns with probe scores: the models', sensor counts', and the most frequent label's.

    `split` names the one that is judged, `val` or `test`.
    """
    prepared = run.data.prepared
    caveats = tuple(dict.fromkeys([*prepared.caveats, *run.caveats]))
    if len(set(prepared.windows("train").column("label").to_pylist())) < 2:
        # Nobody labelled this home: there is nothing to probe for.
        return Verdict(run.step, caveats, columns)
    splits = ["train", "val"] + (["test"] if split == "test" else [])
    vectors_NT = torch.from_numpy(run.data.vectors_NT)
    counts = counted(prepared, splits)
    results = {}
    for name, model in (("untrained", run.untrained()), ("trained", run.model)):
        watch(f"encoding windows, {name}")
        vectors = encoded(model, prepared, vectors_NT, splits)
        watch(f"fitting probes, {name}")
        results[name] = probe(vectors, split=split)
    watch("fitting probes, sensor counts")
    results["sensor counts"] = probe(counts, split=split)
    scores = {name: result.scores for name, result in results.items()}
    scores["majority"] = majority(counts, split=split)
    for name, values in scores.items():
        named = {f"{split}/probe_{metric}": value for metric, value in values.items()}
        columns[name] = columns.get(name, {}) | named
    interval = difference_over_days(results["trained"], results["sensor counts"])
    return Verdict(run.step, caveats, columns, interval)
