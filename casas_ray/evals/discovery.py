"""A trained run's clusters beside those of hand-made features, and which of them are the better."""

from collections.abc import Mapping
from dataclasses import dataclass

from casas_ray import __version__
from casas_ray.errors import DataError
from casas_ray.evals.assignments import Assigned, keep, scored
from casas_ray.evals.cluster_scores import scores
from casas_ray.evals.clusters import cluster
from casas_ray.evals.evaluation import Evaluation, Json, Watch
from casas_ray.evals.grouping import Features, Grouped, Grouping, cheaper_than, group
from casas_ray.evals.judge import probe_validation
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.sealed import read_sealed, write_sealed

_WAYS: tuple[Features, ...] = ("encoder", "joined", "hand")
_LEVEL = 0.005
"""Scores that lie no further apart are called level."""

_EVALUATION = "probes-val.json"
_HINT = "delete it: it is made again."


@dataclass(frozen=True)
class Found:
    """The clusterings of a home by what was learned and by hand, scored on validation days."""

    assigned: Mapping[Features, Assigned]
    better: Features
    said: str
    """Why it is taken, in a sentence."""

    @property
    def chosen(self) -> Assigned:
        """The better one."""
        return self.assigned[self.better]


def cluster_all_ways(run: TrainedRun, k: int | None, watch: Watch) -> Found:
    """The clusters of a run's windows by its vectors, by these beside the hand mix, and by the hand
    mix alone; the better ones are chosen on validation days.

    Raises:
        DataError: there are fewer windows than clusters, or the run's set is gone.
        SetupError: scikit-learn is not installed.
    """
    found: dict[Features, Grouped] = {}
    rows: dict[str, Json] = {}
    for features in _WAYS:
        watch(f"grouping windows, {features}")
        grouped = group(run.data.prepared, run, Grouping(features, k=k))
        found[features] = grouped
        rows[grouped.featurizer.name] = scored(grouped, share_of_probe=False)
    rows |= _cheaper(found["encoder"], k, rows, watch)
    earned: dict[Features, Json] = {
        each: rows[grouped.featurizer.name] for each, grouped in found.items()
    }
    better, said = better_of(earned)
    return Found({each: keep(grouped, rows) for each, grouped in found.items()}, better, said)


def _cheaper(found: Grouped, k: int | None, known: Mapping[str, Json], watch: Watch) -> Json:
    rows = {}
    for featurizer in cheaper_than(found.featurizer, found.run):
        if featurizer.name not in known:
            watch(f"grouping windows, {featurizer.name}")
            clusters = cluster(found.windows, found.fold, featurizer, k=k)
            earned = scores(found.windows, found.fold, clusters)
            rows[featurizer.name] = {"level": featurizer.level, "k": clusters.k, **earned}
    return rows


def better_of(earned: Mapping[Features, Json]) -> tuple[Features, str]:
    """The features whose clusters are the better on validation days, and why, in a sentence.

    By NMI where somebody labelled the home; else by how far clusters from five seeds agree. Those
    that lie level with the best give way to the hand mix, which needs no training.
    """
    labelled = all("nmi" in row for row in earned.values())
    by = "nmi" if labelled else "agreement"
    values: dict[Features, float] = {each: float(row[by]) for each, row in earned.items()}
    best = max(values, key=lambda each: values[each])
    is_level = "hand" in values and values[best] - values["hand"] <= _LEVEL
    better: Features = "hand" if is_level else best
    told = ", ".join(f"{_WORDS[each]} {value:.3f}" for each, value in values.items())
    what = "NMI against labels" if labelled else "how far five seeds agree, for nobody labelled it"
    level = ", level with the best and without a training" if better != best else ""
    return better, f"By {what}, on validation days: {_WORDS[better]}{level} ({told})."


_WORDS: Mapping[Features, str] = {
    "encoder": "what was learned",
    "joined": "what was learned beside the hand mix",
    "hand": "the hand mix alone",
}


def probed(run: TrainedRun, watch: Watch) -> Evaluation | None:
    """Activities told from the run's vectors on validation days, beside every baseline; None where
    nobody labelled the home. It is kept, and a second call repeats it.

    Raises:
        DataError: the run's set is gone.
        SetupError: scikit-learn is not installed.
    """
    path = run.folder / "clusters" / _EVALUATION
    made_of = {"weights": run.meta["sha256"], "casas-ray": __version__}
    if path.is_file():
        try:
            held = read_sealed(path, hint=_HINT)
            if held.get("of") == made_of:
                return Evaluation.from_dict(held["evaluation"]) if held["evaluation"] else None
        except (DataError, KeyError, TypeError, ValueError, AttributeError):
            watch("what was kept of the probes is damaged, and is made again")
    found = probe_validation(run, watch=watch).evaluation
    write_sealed(path, {"of": made_of, "evaluation": found.as_dict() if found else None})
    return found
