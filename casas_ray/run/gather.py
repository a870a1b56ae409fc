"""Everything that trainings read, gathered before any worker starts: sets and caption vectors."""

import functools
from collections.abc import Callable, Sequence

import torch

from casas_ray.config import Machine, Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.named_sets import set_for
from casas_ray.loader.sampler import LengthBucketSampler
from casas_ray.loader.training_data import TrainingData
from casas_ray.loader.whole_split import require_events
from casas_ray.model.caption_vectors import Progress, caption_vectors, missing_captions
from casas_ray.model.embedding import chosen_fields
from casas_ray.run.environment import prepare_environment
from casas_ray.run.reach import refuse_nobody
from casas_ray.study import Study
from casas_ray.training.devices import require_device

Watch = Callable[[str], None]
Steps = Callable[[str, int, int], None]
"""Hears of work that takes long: what, how many are done, of how many."""

_MANY_CAPTIONS = 20_000
"""More are worth the start of actors with a GPU."""


def gather(
    recipe: Recipe,
    machine: Machine,
    watch: Watch,
    steps: Steps,
    given: PreparedSet | None = None,
) -> TrainingData:
    """Everything a recipe trains on; what is on disk already is taken from there.

    `given` is a set that is prepared already, as from alignment JSON. Where the machine has GPUs
    and captions are many, its actors compute their vectors.

    Raises:
        SettingsError: a machine without GPUs is asked for what only they do, the batch does not
            divide among its workers, or the model asks for fields that the data lacks.
        DataError: a log or a set is missing or cannot be used, or makes no batch.
        SetupError: the text model is not at hand.
        ClusterError: no cluster answers where one is named.
    """
    # First, for what follows can take an hour.
    _refuse_machine([recipe], machine)
    prepared = given or set_for(recipe.data, watch=watch)
    _check(recipe, machine, prepared)
    return _with_vectors(prepared, recipe, machine, steps)


def gather_study(
    study: Study,
    machine: Machine,
    watch: Watch,
    steps: Steps,
    given: PreparedSet | None = None,
) -> list[TrainingData]:
    """The data of every trial of a study, in order; trials with equal data share it.

    Raises:
        SettingsError, DataError, SetupError: as `gather` does for any trial.
    """
    trials, sets, at_hand = study.trials(), dict[str, PreparedSet](), dict[str, TrainingData]()
    _refuse_machine([trial.recipe for trial in trials], machine)
    # Every set before the first caption vector, which take the longest: the last arm may lack one.
    for trial in trials:
        if (key := trial.recipe.data.of_set.digest()) not in sets:
            sets[key] = given or set_for(trial.recipe.data, watch=watch)
        _check(trial.recipe, machine, sets[key])
    # One entry a set, and the very object for every trial that reads it: trials share its memory,
    # and `shared_by_trials` sends Ray one copy of each object.
    keys = [trial.recipe.data.of_set.digest() + trial.recipe.text.digest() for trial in trials]
    for key, trial in zip(keys, trials, strict=True):
        if key not in at_hand:
            prepared = sets[trial.recipe.data.of_set.digest()]
            at_hand[key] = _with_vectors(prepared, trial.recipe, machine, steps)
    return [at_hand[key] for key in keys]


def _refuse_machine(recipes: Sequence[Recipe], machine: Machine) -> None:
    if machine.seat == "ray":
        refuse_nobody(machine)
    if not machine.gpus_per_worker:
        for recipe in recipes:
            require_device(recipe.optim, torch.device("cpu"))


def _with_vectors(
    prepared: PreparedSet, recipe: Recipe, machine: Machine, steps: Steps
) -> TrainingData:
    captions = prepared.captions()
    progress = functools.partial(steps, "caption vectors")
    if machine.gpus_per_worker and missing_captions(captions, recipe.text) > _MANY_CAPTIONS:
        _compute_on_gpus(captions, recipe, machine, progress)
    return TrainingData(prepared, caption_vectors(captions, recipe.text, progress=progress))


def _check(recipe: Recipe, machine: Machine, prepared: PreparedSet) -> None:
    """Refuse a recipe that this data or this machine cannot train, before any worker starts.

    Raises:
        DataError: the training windows do not make one batch.
        SettingsError: the batch does not divide among the workers, or the model asks for fields
            or for events around windows that the data lacks.
    """
    require_events(prepared, recipe)
    sampler = LengthBucketSampler(prepared.lengths("train"), recipe.optim.batch_size, recipe.seed)
    # Asked for the refusals alone.
    for workers in range(machine.fewest_workers, machine.most_workers + 1):
        sampler.of_worker(0, workers)
    chosen_fields(recipe.model, tuple(prepared.manifest["fields"]))


def _compute_on_gpus(
    captions: Sequence[str], recipe: Recipe, machine: Machine, progress: Progress
) -> None:
    prepare_environment(machine)
    from casas_ray.run.attend import Bell, attended  # ray takes seconds to import
    from casas_ray.run.caption_actors import with_actors

    def work(_: Bell) -> None:
        encode = with_actors(recipe.text, machine)
        caption_vectors(captions, recipe.text, progress=progress, encode=encode)

    attended(machine, work)
