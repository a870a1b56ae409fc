"""Commands about studies: tune, settings."""

import glob
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli.app import (
    Arms,
    AsJson,
    Changes,
    Fresh,
    NoWandb,
    OnMachine,
    Quick,
    Seeds,
    Simulated,
    StudyName,
    WandbGroup,
    WandbName,
    WandbNotes,
    WandbProject,
    WandbTags,
    command,
    study_settings,
    tracking_words,
)
from casas_ray.cli.console import listening, print_json, say, stepping, waiting
from casas_ray.cli.given import OutputDir, TestData, TrainData, ValData, Vocab, own_or_none
from casas_ray.cli.results import keep_results, show_study
from casas_ray.errors import SettingsError
from casas_ray.study import Study

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.records.study_record import StudyRecord
    from casas_ray.run.rounds import Rounds


class Algorithm(StrEnum):
    """Who draws the arms of a search."""

    OPTUNA = "optuna"


class Scheduler(StrEnum):
    """Who ends trials early."""

    ASHA = "asha"


@command("plan", "runs", "table", "plot", "evaluate")
def tune(
    study: StudyName,
    changes: Changes = None,
    train_data: TrainData = None,
    vocab: Vocab = None,
    val_data: ValData = None,
    test_data: TestData = None,
    output_dir: OutputDir = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    seeds: Seeds = None,
    arms: Arms = "",
    extend: Annotated[
        bool, typer.Option("--extend", help="Add what is asked for to a study that ran before.")
    ] = False,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Add seeds until each arm has a verdict.")
    ] = False,
    most: Annotated[int, typer.Option(min=6, help="Seeds at most, with --until-decided.")] = 12,
    search: Annotated[
        Algorithm | None, typer.Option("--search", help="Draw arms from the study's ranges.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Arms to draw, with --search.")] = 20,
    scheduler: Annotated[
        Scheduler | None, typer.Option("--scheduler", help="Stop trials early that do worse.")
    ] = None,
    fresh: Fresh = False,
    no_wandb: NoWandb = False,
    wandb_project: WandbProject = None,
    wandb_name: WandbName = None,
    wandb_tags: WandbTags = None,
    wandb_notes: WandbNotes = None,
    wandb_group: WandbGroup = None,
    as_json: AsJson = False,
) -> None:
    """Train every arm and seed of a study, and judge the arms.

    The same command goes on after a stop, and trains nothing twice.

    Example: casas-ray tune milan_ablation_mlm --simulated --quick
    """
    files = {"train_data": train_data, "val_data": val_data, "test_data": test_data, "vocab": vocab}
    wandb_words = tracking_words(
        wandb_tags, project=wandb_project, name=wandb_name, notes=wandb_notes, group=wandb_group
    )
    words = [*wandb_words, *(changes or [])]
    folder = own_or_none(output_dir)
    asked, on, tracking, given = study_settings(
        study,
        words,
        files=files,
        quick=quick,
        simulated=simulated,
        machine=machine,
        seeds=seeds,
        arms=arms,
    )
    if asked.ranges and not search:
        left_out = ", ".join(asked.ranges)
        say(f"the ranges of {left_out} are left out; --search optuna draws from them.")
    if scheduler and until_decided:
        raise SettingsError("--until-decided wants whole trials, and --scheduler ends them early.")
    if no_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    is_plain = not (fresh or extend or until_decided or search or folder or on.storage)
    if is_plain and (ended := _ended(asked, given)) is not None:
        count = len(asked.trials())
        say(f"{count} of {count} trials ended before; they stand (--fresh runs all again).")
        keep_results(ended)
        show_study(ended, as_json=as_json)
        return
    with waiting("loading torch"):
        from casas_ray.run.rounds import Rounds

    rounds = Rounds(on, tracking, say, stepping, listening, given, folder, bool(scheduler))
    if search:
        record = _searched(asked, rounds, trials, fresh=fresh)
    elif until_decided:
        record = rounds.until_decided(asked, most, fresh=fresh)
    else:
        record = rounds.train(asked, fresh=fresh, extend=extend)
    show_study(record, as_json=as_json)


def _ended(study: Study, given: "PreparedSet | None") -> "StudyRecord | None":
    """The study's record where nothing is left to train: then torch is not waited for."""
    from casas_ray.corpus.named_sets import set_for
    from casas_ray.records.settled import settled_study
    from casas_ray.records.study_record import STUDY_FILE

    # Data is prepared for a study that ran before, and not here for one that did not.
    if not any(paths.runs().glob(f"{glob.escape(study.name)}-*/{STUDY_FILE}")):
        return None
    sets: dict[str, PreparedSet] = {}
    trials = study.trials()
    for trial in trials:
        if (key := trial.recipe.data.digest()) not in sets:
            sets[key] = given or set_for(trial.recipe.data, watch=say)
    return settled_study(study, [sets[trial.recipe.data.digest()] for trial in trials])


def _searched(study: Study, rounds: "Rounds", trials: int, *, fresh: bool) -> "StudyRecord":
    from casas_ray.records.forecast import trials_at_a_time
    from casas_ray.run.search import Search

    # Two turns of the machine: each batch of arms starts Ray anew.
    at_a_time, _ = trials_at_a_time(rounds.machine)
    return Search(study, rounds, trials, max(2, 2 * at_a_time // len(study.seeds))).run(fresh=fresh)


@command("config", "plan", name="settings")
def settings_page(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/settings.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """List every setting: what it takes, its default, what it does.

    Example: casas-ray settings | grep temperature
    """
    from dataclasses import asdict

    from casas_ray.cli import settings_page

    if markdown:
        print(settings_page.markdown(), end="")
    elif as_json:
        print_json([asdict(entry) for entry in settings_page.entries()])
    else:
        for entry in settings_page.entries():
            print(f"{entry.path}={entry.default}  ({entry.takes})  {entry.says}")
