"""Tables of what vectors tell of activities, for a terminal; made here, printed by the CLI."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import lines
from casas_ray.report.table import Spread

if TYPE_CHECKING:
    from casas_ray.evals.assignments import Assigned
    from casas_ray.evals.evaluation import Evaluation, Row

Looks = Mapping[str, Sequence["Evaluation"]]
"""By arm, the evaluations of its seeds; a home without runs is an arm without a name."""

_SCORES = ("macro_f1", "weighted_f1", "macro_f1_labelled", "weighted_f1_labelled")


def by_level(looks: Looks, title: str) -> Table:
    """Every contender's scores, what reads a window alone first; baselines above what was
    learned."""
    from casas_ray.evals.evaluation import verdicts
    from casas_ray.evals.features.featurizer import LEVELS

    shown = Table(title=title, keys=2)
    shown.add_column("reads", no_wrap=True)
    shown.add_column("vectors")
    shown.add_column("chosen")
    for name in ("macro F1", "[95 %]", "weighted F1", "macro, labelled", "weighted, labelled"):
        shown.add_column(name, justify="right")
    first = next(iter(looks.values()))[0]
    for level in LEVELS:
        for row in first.of_level(level):
            if not row.is_ours:
                shown.add_row(level, row.name, *_cells([row]))
        for arm, seeds in looks.items():
            for row in seeds[0].of_level(level):
                if row.is_ours:
                    rows = [each.named(row.name) for each in seeds]
                    name = f"{row.name}, {arm}" if len(looks) > 1 else row.name
                    shown.add_row(level, name, *_cells(rows), style="bold")
        shown.add_section()
    said = [sentence for seeds in looks.values() for sentence in verdicts(seeds).values()]
    shown.caption = lines([_caption(first), *said, *first.left_out])
    return shown


def _cells(seeds: Sequence["Row"]) -> list[str]:
    from casas_ray.evals.scores import interval

    ends = interval([row.tally for row in seeds])
    chosen = dict.fromkeys(name for row in seeds for name in row.chosen if name)
    scores = [row.scores() for row in seeds]
    # Of several folds the mean with its spread over them, of several seeds with that over seeds.
    folds = seeds[0].tally.by_fold()
    of_macro = Spread.of(folds if len(folds) > 1 else [each["macro_f1"] for each in scores])
    spreads = [Spread.of([each[name] for each in scores if name in each]) for name in _SCORES[1:]]
    between = f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "-"
    others = [str(spread or "-") for spread in spreads]
    return ["; ".join(chosen) or "-", str(of_macro or "-"), between, *others]


def _caption(evaluation: "Evaluation") -> str:
    folds = len(evaluation.rows[0].tally.by_fold())
    how = f"mean ± standard deviation over {folds} folds, " if folds > 1 else ""
    return (
        f"{how}95 % interval over whole days drawn again. Chosen by blocks of training days, all "
        "by one code: C of 0.003 to 10 of a logistic regression, or leaves and columns of a "
        "forest. Labelled: of windows that somebody labelled, fitted on such alone."
    )


_CLUSTER_SCORES = {
    "k": "k",
    "nmi": "NMI",
    "ami": "AMI",
    "ari": "ARI",
    "homogeneity": "homog.",
    "completeness": "complete.",
    "purity": "purity",
    "nmi_labelled": "NMI, labelled",
    "silhouette": "silhouette",
    "agreement": "agreement",
    "noise": "noise",
    "centre_macro_f1": "F1 by centres",
    "centre_share_of_probe": "of the probe's",
}


def clusters(found: "Assigned", title: str) -> Table:
    """What the clusters are worth, beside those of cheaper vectors."""
    shown = Table(title=title)
    shown.add_column("vectors", no_wrap=True)
    shown.add_column("reads", no_wrap=True)
    rows = found.about["rows"]
    known = [name for name in _CLUSTER_SCORES if any(name in row for row in rows.values())]
    for name in known:
        shown.add_column(_CLUSTER_SCORES[name], justify="right")
    for name, row in rows.items():
        cells = [_score(row[score]) if score in row else "-" for score in known]
        shown.add_row(
            name, row["level"], *cells, style="bold" if name == found.about["features"] else ""
        )
    shown.caption = lines(_clusters_said(found))
    return shown


def _score(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _clusters_said(found: "Assigned") -> list[str]:
    said = [
        "Fitted on training days, scored on later ones. Agreement: adjusted Rand index between "
        "five seeds."
    ]
    if found.about["labels"]:
        said.append(
            "F1 by centres: each window is told the label of its cluster's middle, one label a "
            "cluster; of the probe's: as a share of what all training labels give."
        )
    else:
        said.append("Nobody labelled these windows: scores against labels are left out.")
    if found.looks:
        said.append(f"THE TEST DAYS HAVE BEEN LOOKED AT: {', '.join(found.looks)}.")
    return said


def each_cluster(found: "Assigned") -> Table:
    """A row a cluster: its name, how many windows it has, and the window in its middle."""
    given = found.names.by_cluster
    shown = Table(title="Clusters")
    shown.add_column("cluster", justify="right")
    shown.add_column("name")
    for name in ("windows, train", "later"):
        shown.add_column(name, justify="right")
    shown.add_column("window in its middle", no_wrap=True)
    if found.about["labels"]:
        shown.add_column("its label")
    for row in sorted(found.about["clusters"], key=lambda row: -row["train"]):
        # Clusters that an earlier version kept have no proposed names.
        name = given.get(row["cluster"]) or row.get("proposed", "-")
        cells = [str(row["cluster"]), name, f"{row['train']:,}", f"{row['judged']:,}"]
        labels = [row["label"]] if found.about["labels"] else []
        shown.add_row(*cells, row["centre"], *labels)
    shown.caption = lines([_names_said(sorted(given))])
    return shown


def _names_said(given: Sequence[int]) -> str:
    if not given:
        return "Names are proposed: `casas-ray name` gives them others."
    return f"Named by a person: {', '.join(map(str, given))}; other names are proposed."
