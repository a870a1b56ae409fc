"""A study before it runs: what it takes, what it can show, and what would run again."""

import json
import os
import shutil
from pathlib import Path

import pytest
from support.recipes import SMALL

from casas_ray.cli.plan_tables import duration
from casas_ray.config import Machine, Recipe
from casas_ray.paths import runs
from casas_ray.records.costs import kind_of
from casas_ray.records.forecast import FORECAST_FILE, looks_in, trials_at_a_time
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import read_study
from casas_ray.report.provenance import seconds_of

HERE = ("--machine", "debug")


def text_of(text_model: str, **changes: object) -> str:
    base = {**SMALL, "text.model": text_model, "optim.epochs": 2, **changes}
    return (
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Arm, Study, each\n"
        f"BASE = Recipe(name='small').replace({base!r})\n"
        "STUDY = Study(question='How long?', base=BASE, seeds=(0, 1),\n"
        "    arms=[*each('loss.mlm_weight', [0.1]), Arm('wide', {'model.width': 64})])\n"
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_root: Path, text_model: str) -> tuple[Path, Path]:
    """A data folder with a study that has ended, all but one arm, and the study's file."""
    from casas_ray.cli.entry import run as run_words

    root = tmp_path_factory.mktemp("planning")
    study = root / "planned.py"
    study.write_text(text_of(text_model))
    before = os.environ["CASAS_RAY_DATA"]
    os.environ["CASAS_RAY_DATA"] = str(root / "data")
    words = ["tune", str(study), *HERE, "--no-wandb", "--json", "tracking.log_every=5"]
    try:
        assert run_words([*words, "--arms", "mlm_weight=0.1", "--seeds", "1"], debug=True) == 0
        assert run_words([*words, "--arms", "mlm_weight=0.1", "--extend"], debug=True) == 0
    finally:
        os.environ["CASAS_RAY_DATA"] = before
    return root / "data", study


@pytest.fixture
def planned(trained: tuple[Path, Path], tmp_path: Path, monkeypatch) -> Path:
    """The study's file, in a data folder of the test's own."""
    data, study = trained
    shutil.copytree(data, tmp_path / "data", symlinks=True)
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    return Path(shutil.copy(study, tmp_path / "planned.py"))


def told(run, *words: object) -> dict:
    code, out, err = run("plan", *words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_time_and_memory_of_an_arm_are_those_of_earlier_runs_of_its_kind(run, planned: Path):
    one_arm = ("--arms", "mlm_weight=0.1")
    found = told(run, planned, *one_arm, *HERE, "machine.price_per_hour=36")["forecast"]
    (folder,) = runs().glob("planned-*")
    seconds = [seconds_of(each) for each in read_study(folder).results().values()]
    least, likely, most = found["arms"]["base"]["seconds"]
    # A weight takes no time: both arms are of one kind.
    assert found["arms"]["base"]["seconds"] == found["arms"]["mlm_weight=0.1"]["seconds"]
    assert least <= min(seconds) <= max(seconds) <= most
    assert least < likely < most
    assert found["arms"]["base"]["source"] == "4 earlier runs"
    assert found["seconds"][1] == pytest.approx(4 * likely)  # one at a time, here
    assert found["money"][1] == pytest.approx(4 * likely / 100)  # 36 an hour are 0.01 a second
    assert 100 < found["arms"]["base"]["memory_mib"] < 10_000
    assert found["disk_bytes"] > 0
    code, out, _ = run("plan", planned, *one_arm, *HERE, "machine.price_per_hour=36")
    assert code == 0
    assert "4 trials, 1 at a time: about" in out
    assert "price about" in out


def test_of_a_kind_that_never_ran_nothing_is_told_until_it_is_calibrated(run, planned: Path):
    found = told(run, planned, *HERE)["forecast"]
    assert (found["unknown"], found["seconds"]) == (["wide"], None)
    assert "What wide takes on machine debug is not known" in run("plan", planned, *HERE)[1]
    before = sorted(path.name for path in runs().glob("*/"))
    code, out, err = run("plan", planned, *HERE, "--calibrate", "--json")
    assert code == 0, err
    assert "calibrating 2 kinds of training" in err
    found = json.loads(out)["forecast"]
    assert found["unknown"] == []
    assert found["arms"]["wide"]["source"] == "a calibration"
    # Newer than the runs, and so believed.
    assert found["arms"]["base"]["source"] == "a calibration"
    # Nothing was left that is taken for a run.
    after = {path.name for path in runs().glob("*/")} - set(before)
    assert after == {".calibrations"}


def test_a_damaged_calibration_is_left_out(run, planned: Path, caplog):
    run("plan", planned, *HERE, "--calibrate")
    for path in (runs() / ".calibrations").iterdir():
        path.write_text("{")
    assert told(run, planned, *HERE)["forecast"]["unknown"] == ["wide"]
    assert "It is left out." in caplog.text


def test_what_was_trained_elsewhere_is_no_measure(run, planned: Path):
    found = told(run, planned, *HERE, "machine.threads_per_worker=2")["forecast"]
    assert found["arms"] == {}
    assert told(run, planned, "--machine", "one-gpu")["forecast"]["arms"] == {}


def test_trials_that_stand_are_not_named_and_others_with_what_was_changed(run, planned: Path):
    plain = told(run, planned, *HERE, "--arms", "mlm_weight=0.1", "--why")
    assert [each["runs"] for each in plain["why"]] == [False] * 4
    found = told(run, planned, *HERE, "--why")
    by_trial = {each["trial"]: each for each in found["why"]}
    assert by_trial["wide-seed0"]["reasons"] == ["never trained"]
    words = (*HERE, "--why", "--arms", "mlm_weight=0.1", "optim.learning_rate=0.5")
    changed = told(run, planned, *words)
    assert changed["why"][0]["reasons"] == ["optim.learning_rate was 0.002, is 0.5"]
    code, out, _ = run("plan", planned, *words)
    assert (code, "4 of 4 trials would run" in out) == (0, True)
    # Other data, too: by its hash.
    other = told(run, planned, *HERE, "--why", "--arms", "mlm_weight=0.1", "data.simulate.seed=3")
    assert other["why"][0]["reasons"][0] == "data.simulate.seed was 0, is 3"
    assert other["why"][0]["reasons"][1].startswith("data was ")


def test_a_stopped_trial_says_how_far_it_came_and_other_code_is_told_of(run, planned: Path):
    (folder,) = runs().glob("planned-*")
    ledger = folder / "base-seed0" / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    lines[0] = lines[0].replace('"git_commit": "', '"git_commit": "0')
    ledger.write_text("".join(lines[:-1]))
    found = told(run, planned, *HERE, "--arms", "mlm_weight=0.1", "--why")
    first = found["why"][0]
    assert first["runs"]
    assert first["reasons"][0].startswith("running at step ")


def test_the_forecast_is_kept_before_the_first_trial_and_scored_on_the_page(run, planned: Path):
    code, _, err = run("tune", planned, *HERE, "--no-wandb", "--extend")
    assert code == 0, err
    (folder,) = runs().glob("planned-*")
    held = json.loads((folder / FORECAST_FILE).read_text())
    # Of the trials that were to run when something was known first: the second command's.
    assert held["trials"] == [["base", 1], ["mlm_weight=0.1", 1]]
    assert run("report", folder)[0] == 0
    page = (folder / "report.html").read_text()
    assert "Forecast against cost" in page
    assert "s a trial" in page
    (folder / FORECAST_FILE).write_text("[")
    assert run("report", folder)[0] == 0
    assert "Forecast against cost" not in (folder / "report.html").read_text()


def test_sixteen_long_names_stay_readable(run, tmp_path: Path):
    names = [f"a_rather_long_name_of_an_arm_that_says_what_it_is_number_{at}" for at in range(16)]
    path = tmp_path / "long.py"
    path.write_text(
        "from casas_ray.study import Arm, Study\n"
        "from tune_spaces.bases import milan_tiny\n"
        f"ARMS = [Arm(name, {{'optim.epochs': 6 + at}}) for at, name in enumerate({names!r})]\n"
        "STUDY = Study(question='Which?', base=milan_tiny(), arms=ARMS, seeds=range(10))\n"
    )
    code, out, _ = run("plan", path)
    assert code == 0
    for at, name in enumerate(names):
        (line,) = [line for line in out.splitlines() if f"{name} " in line]
        assert f"optim.epochs={6 + at}" in line
    assert max(map(len, out.splitlines())) <= 160
    assert "0 to 9" in out


def test_what_n_seeds_can_show_is_the_table_of_the_verdicts_page(run):
    _, out, _ = run("plan", "milan_ablation_mlm", "--json")
    shows = {each["pairs"]: each for each in json.loads(out)["seeds_can_show"]}
    assert [shows[n]["arms_that_can_pass"] for n in (3, 4, 5, 6, 7, 8, 10)] == [
        0,
        0,
        0,
        1,
        3,
        6,
        25,
    ]
    assert "6 (asked)" in run("plan", "milan_ablation_mlm")[1]


def test_a_study_of_the_base_alone_is_planned(run):
    code, out, err = run("plan", "milan_baseline")
    assert code == 0, err
    assert "1 arms x 6 seeds = 6 trials" in out
    assert "can pass" not in out


def test_looks_are_those_that_the_loop_takes():
    recipe = Recipe().replace({"optim.epochs": 2, "optim.validate_every": 30})
    assert looks_in(recipe, 50) == len({0, 30, 50, 60, 90, 100})
    assert looks_in(recipe.replace({"optim.max_steps": 20}), 50) == len({0, 20})


def test_how_many_run_at_a_time_is_what_the_machine_has_room_for():
    slurm = Machine().replace({"slurm.partition": "gpu", "slurm.nodes": 2})
    slurm = slurm.replace({"slurm.gpus_per_node": 8, "slurm.cpus_per_node": 32})
    assert trials_at_a_time(slurm.replace({"gpus_per_worker": 1, "cpus_per_worker": 4})) == (
        16,
        False,
    )
    assert trials_at_a_time(Machine(seat="debug")) == (1, False)
    assert trials_at_a_time(Machine(gpus_per_worker=1)) == (1, True)
    assert trials_at_a_time(Machine(concurrent_trials=5, gpus_per_worker=1)) == (5, False)


def test_what_changes_no_time_is_of_one_kind():
    here, recipe = Machine(seat="debug"), Recipe()
    same = recipe.replace({"seed": 4, "optim.learning_rate": 1.0, "optim.epochs": 9})
    assert kind_of(same, here) == kind_of(recipe, here)
    assert kind_of(recipe.replace({"model.width": 64}), here) != kind_of(recipe, here)
    assert kind_of(recipe, Machine(name="one-gpu", gpus_per_worker=1)) != kind_of(recipe, here)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(4.26, "4.3 s"), (61, "61 s"), (720, "12 min"), (12_600, "3.5 h"), (600_000, "6.9 days")],
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str):
    assert duration(seconds) == said


def test_a_run_that_was_stopped_in_between_is_no_measure(trained: tuple[Path, Path]):
    from casas_ray.records.taken import taken_by

    (folder,) = (trained[0] / "runs").glob("planned-*")
    whole = RunResult.read(folder / "base-seed0")
    assert taken_by(whole) is not None
    assert taken_by(RunResult(folder, whole.rows[:-1])) is None
