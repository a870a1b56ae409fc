"""The command `plan`: a study before it runs, what it takes and what it can show."""

from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli.app import (
    Arms,
    AsJson,
    Changes,
    OnMachine,
    Quick,
    Seeds,
    Simulated,
    StudyName,
    command,
    study_settings,
)
from casas_ray.cli.console import out, print_json, say, stepping, waiting
from casas_ray.cli.given import TestData, TrainData, ValData, Vocab
from casas_ray.study import Study, describe_arm

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.records.again import Stale
    from casas_ray.records.forecast import Forecast

Calibrate = Annotated[
    bool,
    typer.Option("--calibrate", help="Train a few steps of each kind first, to know the time."),
]
Why = Annotated[
    bool, typer.Option("--why", help="Name what makes each trial run again; data is prepared.")
]


@command("tune", "settings", "report")
def plan(
    study: StudyName,
    changes: Changes = None,
    train_data: TrainData = None,
    vocab: Vocab = None,
    val_data: ValData = None,
    test_data: TestData = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    seeds: Seeds = None,
    arms: Arms = "",
    calibrate: Calibrate = False,
    why: Why = False,
    as_json: AsJson = False,
) -> None:
    """Show a study's arms, what they take, what seeds can show.

    Nothing is trained, but for some steps with --calibrate. Time and memory come of a calibration
    or of earlier runs of the same kind on the same machine.

    Example: casas-ray plan milan_ablation_mlm --machine one-gpu machine.price_per_hour=2.5
    """
    from casas_ray.cli import plan_tables
    from casas_ray.records.forecast import forecast

    files = {"train_data": train_data, "val_data": val_data, "test_data": test_data, "vocab": vocab}
    asked, on, _, given = study_settings(
        study,
        changes,
        files=files,
        quick=quick,
        simulated=simulated,
        machine=machine,
        seeds=seeds,
        arms=arms,
    )
    if calibrate:
        with waiting("loading torch"):
            from casas_ray.run.calibrate import calibrate as measure
        with stepping() as steps:
            measure(asked, on, say, steps, given)
    stale = _stale(asked, given) if why else None
    trials = asked.trials()
    expected = forecast([(trial.arm, trial.recipe.seed, trial.recipe) for trial in trials], on)
    caveats = given.caveats if given else asked.caveats
    if as_json:
        print_json(_as_json(asked, caveats, expected, stale))
        return
    shown = plan_tables.plan(asked, caveats, expected)
    out.print(asked.question, shown, *plan_tables.whole(expected), sep="\n")
    if asked.arms:
        own = plan_tables.can_show(len(asked.seeds), len(asked.arms), asked.rope)
        out.print(plan_tables.can_show_table(asked), " ".join(own.sentences()), sep="\n")
    if stale is not None:
        out.print(plan_tables.again(stale))


def _stale(study: Study, given: "PreparedSet | None") -> "Stale":
    from casas_ray.corpus.named_sets import set_for
    from casas_ray.records.again import what_runs_again
    from casas_ray.records.provenance import code_state

    recipes = {trial.arm: trial.recipe for trial in study.trials()}
    sets: dict[str, PreparedSet] = {}
    with waiting("preparing the data"):
        for recipe in recipes.values():
            if (key := recipe.data.digest()) not in sets:
                sets[key] = given or set_for(recipe.data, watch=say)
    by_arm = {arm: sets[recipe.data.digest()] for arm, recipe in recipes.items()}
    with waiting("reading the ledgers"):
        return what_runs_again(study, by_arm, code_state())


def _as_json(
    study: Study, caveats: tuple[str, ...], expected: "Forecast", stale: "Stale | None"
) -> dict[str, object]:
    from casas_ray.cli import plan_tables

    changed = {"base": {}} | {arm.name: describe_arm(study, arm) for arm in study.arms}
    shows = plan_tables.can_show(len(study.seeds), len(study.arms), study.rope)
    told: dict[str, object] = {
        "study": study.name,
        "caveats": list(caveats),
        "quick": study.quick,
        "max_steps": study.base.optim.max_steps,
        "arms": changed,
        "trials": [[trial.arm, trial.recipe.seed] for trial in study.trials()],
        "rope": study.rope,
        "can_show": shows.as_dict(),
        "seeds_can_show": [one.as_dict() for one in plan_tables.seeds_can_show(study)],
        "forecast": expected.model_dump(mode="json") | {"money": expected.money},
    }
    if stale is not None:
        told["why"] = [each.as_dict() for each in stale.trials]
        told["beside"] = str(stale.folder) if stale.folder else None
    return told
