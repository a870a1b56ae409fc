"""A study of which nothing is left to train, known without what trains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from casas_ray.errors import DataError
from casas_ray.records.own_folder import STUDY_FILE
from casas_ray.records.run_record import RunRecord, unsettled
from casas_ray.records.study_folder import folder_of
from casas_ray.records.study_record import StudyRecord, read_study
from casas_ray.study import Study

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet


def settled_study(study: Study, sets: Sequence["PreparedSet"]) -> StudyRecord | None:
    """The record of the study on this data, one set a trial, where all that it asks for has ended
    and nothing of it is to be written; else None."""
    folder = folder_of(study, sets)
    if not (folder / STUDY_FILE).exists():
        return None
    try:
        record = read_study(folder)
        names = {(arm, seed): name for arm, seed, name in record.trials}
        asked = [names.get((trial.arm, trial.recipe.seed)) for trial in study.trials()]
        runs = [RunRecord.read(folder / name) for name in asked if name is not None]
    except DataError:  # damaged: to be written anew
        return None
    is_whole = len(runs) == len(asked) and not unsettled(runs)
    is_judged_so = record.rule is not None and record.rule.rope == study.rope
    return record if is_whole and is_judged_so else None
