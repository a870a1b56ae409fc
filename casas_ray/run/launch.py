"""From what a command line says to runs that have ended: gather the data, lay out folders,
start."""

import contextlib
import fcntl
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from casas_ray import places
from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.order import Lanes
from casas_ray.corpus.prepare import prepare
from casas_ray.errors import RefusedError
from casas_ray.model.embedding import chosen_fields
from casas_ray.model.step import require_device
from casas_ray.model.vectors import caption_vectors, missing_captions
from casas_ray.results import RunResult
from casas_ray.run.environment import prepare_environment
from casas_ray.run.follow import Follower, Listener
from casas_ray.run.here import run_here
from casas_ray.run.job import RUN_FILE, Job
from casas_ray.run.provenance import snapshot
from casas_ray.settings import differences
from casas_ray.study import Study, Trial

Watch = Callable[[str], None]
Steps = Callable[[str, int, int], None]

STUDY_FILE = "study.json"
_SETTLED = ("finished", "diverged")
_MANY_CAPTIONS = 20_000
"""More are worth the start of actors with a GPU."""


@dataclass(frozen=True)
class Ready:
    """A prepared set with the vectors of its captions."""

    prepared: PreparedSet
    vectors: NDArray[np.float32]


def gather(
    recipe: Recipe,
    machine: Machine,
    watch: Watch,
    steps: Steps,
    given: PreparedSet | None = None,
) -> Ready:
    """Everything a recipe trains on; what is on disk already is taken from there.

    Where the machine has GPUs and captions are many, its actors compute their vectors.

    Raises:
        SettingsError: a machine without GPUs is asked for what only they do; said first.
        DataError: a log is missing or cannot be used.
        SetupError: the text model is not at hand.
    """
    if not machine.gpus_per_worker:
        require_device(recipe.optim, torch.device("cpu"))
    prepared = given or prepare(recipe.data, logs_for(recipe.data), watch=watch)
    captions = prepared.captions()
    told = functools.partial(steps, "caption vectors")
    if machine.gpus_per_worker and missing_captions(captions, recipe.text) > _MANY_CAPTIONS:
        _compute_on_gpus(captions, recipe, machine, told)
    return Ready(prepared, caption_vectors(captions, recipe.text, progress=told))


def _compute_on_gpus(
    captions: Sequence[str], recipe: Recipe, machine: Machine, told: Callable[[int, int], None]
) -> None:
    prepare_environment()
    from casas_ray.run.embed import with_actors  # ray.data takes seconds to import
    from casas_ray.run.session import fits, session

    with session(machine):
        fits(machine)
        encode = with_actors(recipe.text, machine)
        caption_vectors(captions, recipe.text, progress=told, encode=encode)


def check(recipe: Recipe, machine: Machine, prepared: PreparedSet) -> None:
    """Nothing, when the recipe's batches fit the data and divide among the workers, and the data
    has the fields that the model asks for.

    Raises:
        SettingsError, DataError: they do not; said before any worker starts.
    """
    lanes = Lanes(prepared.lengths("train"), recipe.optim.batch_size, recipe.seed)
    lanes.of_worker(0, machine.workers)
    chosen_fields(recipe.model, tuple(prepared.manifest["fields"]))


@dataclass(frozen=True)
class StudyRun:
    """A study laid out on disk: its folder and one job a trial."""

    folder: Path
    study: Study
    trials: Sequence[Trial]
    jobs: Sequence[Job]

    def results(self) -> dict[tuple[str, int], RunResult]:
        """What the ledgers say, by arm and seed, arm by arm."""
        arms = list(dict.fromkeys(trial.arm for trial in self.trials))
        rows = sorted(
            zip(self.trials, self.jobs, strict=True), key=lambda pair: arms.index(pair[0].arm)
        )
        return {(trial.arm, trial.recipe.seed): RunResult.read(job.folder) for trial, job in rows}

    def open_jobs(self) -> list[int]:
        """The jobs that have not come to an end that would repeat itself."""
        return [
            place
            for place, job in enumerate(self.jobs)
            if RunResult.read(job.folder).status not in _SETTLED
        ]


def lay_out(
    study: Study, tracking: Tracking, ready: Sequence[Ready], *, fresh: bool = False
) -> StudyRun:
    """Folders and jobs of a study; the same study on the same data has the same folder.

    `fresh` takes a new folder beside the ones that are there.
    """
    trials = study.trials()
    simulated = any(one.prepared.simulated for one in ready)
    caveats = list(dict.fromkeys(words for one in ready for words in one.prepared.caveats))
    fingerprints = sorted({one.prepared.fingerprint for one in ready})
    content = json.dumps([[trial.recipe.digest() for trial in trials], fingerprints])
    marks = [mark for mark, on in (("quick", study.quick), ("simulated", simulated)) if on]
    homes = sorted({trial.recipe.data.label for trial in trials})
    name = "-".join([study.name, *homes, *marks, hashlib.sha256(content.encode()).hexdigest()[:8]])
    folder = _numbered(places.runs() / places.safe_name(name, what="study"), fresh=fresh)
    jobs = [
        _trial_job(study, trial, folder, tracking, one.prepared)
        for trial, one in zip(trials, ready, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "study": study.name,
        "question": study.question,
        "homes": homes,
        "quick": study.quick,
        "caveats": caveats,
        "trials": [[t.arm, t.recipe.seed, t.name] for t in trials],
    }
    (folder / STUDY_FILE).write_text(json.dumps(about, indent=1), encoding="utf-8")
    return StudyRun(folder, study, trials, jobs)


def _numbered(folder: Path, *, fresh: bool) -> Path:
    place = 2
    found = folder
    while fresh and found.exists():
        found = folder.with_name(f"{folder.name}-{place}")
        place += 1
    return found


def _trial_job(
    study: Study, trial: Trial, folder: Path, tracking: Tracking, prepared: PreparedSet
) -> Job:
    return Job(
        name=f"{study.name}/{trial.name}",
        folder=folder / places.safe_name(trial.name, what="trial"),
        recipe=trial.recipe,
        tracking=tracking,
        group=study.name,
        arm=trial.arm,
        caveats=prepared.caveats,
        quick=study.quick,
    )


def run_study(
    run: StudyRun, machine: Machine, ready: Sequence[Ready], listeners: Sequence[Listener]
) -> None:
    """Train every open job of a study; `ready` has one entry a job."""
    places_open = run.open_jobs()
    if not places_open:
        return
    jobs = [run.jobs[place] for place in places_open]
    data = [ready[place] for place in places_open]
    with locked(run.folder), _followed(jobs, listeners):
        for job in jobs:
            job.remember()
        if jobs[0].tracking.code_snapshot:
            snapshot(run.folder)
        if machine.seat == "debug":
            _one_by_one(jobs, machine, data)
        else:
            _through_tune(jobs, machine, data, run.folder)


def _one_by_one(jobs: Sequence[Job], machine: Machine, data: Sequence[Ready]) -> None:
    for job, one in zip(jobs, data, strict=True):
        with contextlib.suppress(Exception):  # the ledger holds it, and the table shows it
            run_here(job, machine, one.prepared, one.vectors)


def _through_tune(
    jobs: Sequence[Job], machine: Machine, data: Sequence[Ready], folder: Path
) -> None:
    prepare_environment()
    from casas_ray.run.session import fits, session  # ray.tune takes seconds to import
    from casas_ray.run.shards import Supply
    from casas_ray.run.sweep import sweep

    with session(machine):
        fits(machine)
        if machine.workers > 1:
            supplies = [
                Supply.dealt(one.prepared, one.vectors, job.recipe, machine.workers)
                for job, one in zip(jobs, data, strict=True)
            ]
        else:
            shared: dict[int, Any] = {}
            for one in data:
                if id(one) not in shared:
                    shared[id(one)] = Supply.shared(one.prepared, one.vectors)
            supplies = [shared[id(one)] for one in data]
        sweep(jobs, machine, supplies, folder)


def run_training(
    job: Job, machine: Machine, ready: Ready, listeners: Sequence[Listener]
) -> RunResult:
    """Train one job, in a TorchTrainer or in this process; goes on where it was stopped.

    Raises:
        RefusedError: its folder holds a run of another recipe, or is in use.
        AllFailed: it failed or diverged.
    """
    claim(job)
    if RunResult.read(job.folder).status != "finished":
        if job.tracking.code_snapshot:
            snapshot(job.folder)
        with locked(job.folder), _followed([job], listeners):
            if machine.seat == "debug":
                run_here(job, machine, ready.prepared, ready.vectors)
            else:
                _through_trainer(job, machine, ready)
    return RunResult.read(job.folder)


def _through_trainer(job: Job, machine: Machine, ready: Ready) -> None:
    prepare_environment()
    from casas_ray.run.session import fits, session  # ray takes seconds to import
    from casas_ray.run.shards import Supply
    from casas_ray.run.trial import run_in_trainer

    with session(machine):
        fits(machine)
        supply = Supply.dealt(ready.prepared, ready.vectors, job.recipe, machine.workers)
        run_in_trainer(job, machine, supply)


def claim(job: Job) -> None:
    """Make the run's folder this recipe's.

    Raises:
        RefusedError: it is another recipe's.
    """
    path = job.folder / RUN_FILE
    if path.exists():
        held = Recipe.build(json.loads(path.read_text(encoding="utf-8"))["recipe"])
        changed = ", ".join(sorted(differences(held, job.recipe)))
        if changed:
            raise RefusedError(
                f"{places.shown(job.folder)} holds a run of another recipe; "
                f"it differs in {changed}.",
                hint="give the new run another --name or --output-dir.",
            )
    job.remember()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder to ourselves, until this process ends or the block does.

    Raises:
        RefusedError: another process is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedError(
                f"another casas-ray is at work in {places.shown(folder)}.",
                hint="wait for it, or stop it.",
            ) from None
        yield


def _followed(jobs: Sequence[Job], listeners: Sequence[Listener]) -> Follower:
    return Follower([job.folder for job in jobs], listeners)
