"""A set's windows, or a run's, grouped and drawn as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals.assignments import Assigned, keep, kept, scored
from casas_ray.evals.evaluation import Watch
from casas_ray.evals.grouping import Grouping, group
from casas_ray.evals.maps.content import MapMaker
from casas_ray.evals.maps.layout import Kind, layouts, require_tsne
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.report.map_page import map_page


@dataclass(frozen=True)
class Drawn:
    """A page, and the clusters it shows."""

    assigned: Assigned
    names: Mapping[int, str]
    """By cluster a person's name, or a proposed one."""

    layouts: Sequence[str]
    page: str
    """As HTML."""


def draw(
    prepared: PreparedSet,
    run: TrainedRun | None,
    grouping: Grouping,
    layout: Kind | None,
    command: str,
    watch: Watch,
) -> Drawn:
    """The page of a clustering, which is kept besides where it was not yet.

    `layout` of None takes t-SNE where it is installed. `command` makes the page again.

    Raises:
        DataError: there are fewer windows than clusters, or the set cannot tell what is asked.
        SettingsError: the features want a run, or k has no effect.
        SetupError: scikit-learn is not installed, or openTSNE where it is asked for.
    """
    if layout == "tsne":
        require_tsne()
    watch(f"grouping windows, {grouping.features}")
    found = group(prepared, run, grouping)
    assigned = kept(found)
    if assigned is None:
        watch("scoring clusters")
        rows = {found.featurizer.name: scored(found, share_of_probe=False)}
        assigned = keep(found, rows)
    watch("placing windows")
    placed = layouts(found.clusters, layout)
    watch("drawing the page")
    maker = MapMaker(found, assigned, placed)
    page = map_page(maker.content(command))
    return Drawn(assigned, maker.names, [each.name for each in placed], page)
