"""The command line as a user types it: what it prints, refuses and leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.alignment_json import files
from support.gate import Gates
from support.recipes import WORDS
from support.said import told
from support.waiting import LONG
from support.wandb_file import run_file, the_run

from casas_ray.paths import runs
from casas_ray.records.run_result import RunResult

ONE_LINE = 2


def test_plan_as_json_names_arms_and_trials(run):
    code, out, _ = run("plan", "milan_ablation_mlm", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["arms"]["mlm_weight=0.5"] == {"loss.mlm_weight": 0.5}
    assert len(plan["trials"]) == 30
    assert plan["max_steps"] is None


def test_plan_tells_that_trials_are_cut_short(run):
    words = ("plan", "milan_ablation_mlm", "optim.max_steps=200")
    assert "at most 200 steps a trial" in " ".join(run(*words)[1].split())
    assert json.loads(run(*words, "--json")[1])["max_steps"] == 200


def test_prepare_tells_what_it_found_and_gives_the_same_as_json(run):
    code, out, _ = run("prepare", "milan", "--simulated", "data.simulate.days=4")
    assert code == 0
    assert "milan (SIMULATED home)" in out
    assert "train 2 (2009-10-16 to 2009-10-17)" in out
    code, out, _ = run("prepare", "milan", "--simulated", "data.simulate.days=4", "--json")
    assert json.loads(out)["caveats"] == ["SIMULATED home"]


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["plan", "milan_ablation_ml"], 2, "no study 'milan_ablation_ml'"),
        (["tune", "milan_ablation_mlm", "optim.epoch=1"], 2, "unknown setting 'optim.epoch'"),
        (["tune", "milan_ablation_mlm", "loss.mlm_weight=1"], 2, "is what this study varies"),
        (
            ["tune", "milan_ablation_mlm", "seed=7"],
            2,
            "a study runs seeds 0, 1, 2, 3, 4, 5 of each arm",
        ),
        (["tune", "milan_tiny"], 2, "is a starting point, not a study"),
        (["train", "milan_ablation_mlm"], 2, "is a study, not a starting point"),
        (["train", "--machine", "moon"], 2, "no machine 'moon'"),
        (["train", "--train-data", "x.json"], 2, "alignment JSON needs --vocab, --val-data too"),
        (["tune", "milan_ablation_mlm", "data.homes=cairo"], 3, "no log of home 'cairo'"),
        (["tune", "milan_ablation_mlm", "data.homes=nowhere"], 3, "no log of home 'nowhere'"),
        (["prepare", "here", "--log", "nowhere.txt"], 3, "nowhere.txt: no such file"),
        (["table", "nowhere"], 3, "nowhere holds no study"),
        (["evaluate", "nowhere"], 3, "nowhere has no best checkpoint: there is no such folder"),
        (["query", "nowhere", "x"], 3, "nowhere has no best checkpoint: there is no such folder"),
        (["label", "nowhere"], 3, "nowhere has no best checkpoint: there is no such folder"),
        (["export", "nowhere", "x"], 3, "nowhere has no best checkpoint: there is no such folder"),
        (["prepare", "../../x"], 8, "home '../../x' would leave its folder"),
        (["train", "--name", "../x"], 8, "run '../x' would leave its folder"),
        (["submit", "--machine", "laptop", "--", "plan", "x"], 2, "has no dashboard address"),
    ],
)
def test_each_mistake_has_one_line_a_hint_and_its_exit_code(run, words, code, problem):
    found, out, err = run(*words)
    assert found == code
    assert problem in err
    assert len(told(err)) <= ONE_LINE
    assert "Traceback" not in err
    assert out == ""


def test_a_home_without_a_log_says_where_to_get_it_and_offers_the_simulated_one(run, monkeypatch):
    monkeypatch.setenv("CASAS_RAY_DATA", "/nonexistent")
    code, _, err = run("tune", "milan_ablation_mlm")
    assert code == 3
    assert "download https://casas.wsu.edu/datasets/milan.zip and unpack it there" in err
    assert "--simulated" in err


def test_a_study_with_a_diverging_arm_goes_on_shows_it_and_exits_5(run, study: Path):
    code, out, err = run("tune", study, "--machine", "debug", "--no-wandb")
    assert code == 5
    assert "2 of 4 trials did not finish: 2 diverged" in err
    assert "small_study on milan (SIMULATED home)" in out
    assert "2 diverged" in out
    assert "0 of 2" in out
    (folder,) = runs().glob("small_study-milan-simulated-*")
    table = json.loads((folder / "results.json").read_text())
    assert [row["statuses"] for row in table["arms"]] == [{"finished": 2}, {"diverged": 2}]
    assert table["chance"]["val/recall@1"] > 0
    diverged = RunResult.read(folder / "learning_rate=1e30-seed0")
    assert diverged.step <= 2

    stamp = (folder / "base-seed0" / "ledger.jsonl").stat().st_mtime_ns
    code, again, err = run("tune", study, "--machine", "debug", "--no-wandb")
    assert (code, again) == (5, out)
    assert "4 of 4 trials ended before" in err
    assert (folder / "base-seed0" / "ledger.jsonl").stat().st_mtime_ns == stamp
    (folder / "results.json").unlink()
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    code, shown, _ = run("table", folder, "--json")
    assert code == 5
    # Who shows writes nothing: a folder that nobody may write to can be looked at.
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    assert json.loads(shown)["caveats"] == ["SIMULATED home"]


def test_train_evaluate_and_train_again(run, text_model: str):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "--name", "mine"]
    code, out, _ = run(*words, "--machine", "debug", "--no-wandb", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["status"] == "finished"
    assert result["best"]["val/recall_mean"] > result["untrained"]["val/recall_mean"]
    code, out, _ = run("evaluate", result["folder"])
    assert code == 0
    assert "mine, test days" in out
    assert "SIMULATED" in out
    code, _, err = run(*words, "seed=1", "--machine", "debug", "--no-wandb")
    assert code == 8
    assert "holds a run of another recipe; it differs in seed" in err


def test_train_on_alignment_json_of_shape_a(run, tmp_path: Path, text_model: str):
    paths, vocab = files(tmp_path)
    words = ["train", "--train_data", paths["train"], "--vocab", vocab, "--val_data", paths["val"]]
    small = [word for word in WORDS if not word.startswith("data.")]
    settings = [*small, "optim.batch_size=2", f"text.model={text_model}", "--machine", "debug"]
    code, out, _ = run(*words, "--output_dir", tmp_path / "out", "--no_wandb", *settings, "--json")
    assert code == 0
    assert json.loads(out)["status"] == "finished"
    assert RunResult.read(tmp_path / "out").info["home"].startswith("json-")
    code, _, err = run("evaluate", tmp_path / "out")
    assert code == 3
    assert "has no test windows" in err


@pytest.mark.parametrize("word", ["--simulated", "data.windows.length=50"])
def test_a_setting_that_alignment_json_cannot_heed_is_refused(run, tmp_path: Path, word: str):
    paths, vocab = files(tmp_path)
    words = ["train", "--train-data", paths["train"], "--vocab", vocab, "--val-data", paths["val"]]
    code, _, err = run(*words, word)
    assert code == 2
    assert f"{word} has no effect on alignment JSON" in err


def test_the_wandb_options_of_the_earlier_scripts_reach_the_run(run, tmp_path: Path, text_model):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "optim.epochs=1"]
    told = ["--wandb_project", "ours", "--wandb-name", "milan_v1", "--wandb_tags", "milan,baseline"]
    told += ["--wandb-tags", "dual-encoder", "--wandb_notes", "why = so", "--wandb-group", "g"]
    code, _, _ = run(*words, *told, "--machine", "debug", "--output-dir", tmp_path / "out")
    assert code == 0
    found = the_run(run_file(tmp_path / "out"))
    assert (found.project, found.display_name) == ("ours", "SIMULATED milan_v1")
    assert (found.run_group, found.notes, found.job_type) == ("g", "why = so", "train")
    assert {"milan", "baseline", "dual-encoder", "SIMULATED", "seed:0"} <= set(found.tags)


def test_a_torn_json_file_leaves_no_run_behind(run, tmp_path: Path):
    paths, vocab = files(tmp_path)
    paths["train"].write_text(paths["train"].read_text()[:-20])
    words = ["train", "--train-data", paths["train"], "--vocab", vocab, "--val-data", paths["val"]]
    code, _, err = run(*words, "--output-dir", tmp_path / "out")
    assert code == 3
    assert "is not whole JSON" in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_deleted_while_it_is_trained_into_is_named(
    tmp_path: Path, text_model: str, gates: Gates
):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "optim.epochs=12"]
    words += ["--machine", "debug", "--no-wandb", "--output-dir", str(tmp_path / "out")]
    gates.hold("milan_baseline-seed0", step=36)
    process = subprocess.Popen(
        [sys.executable, "-m", "casas_ray", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **gates.environment()},
    )
    gates.wait_for("milan_baseline-seed0", driver=process)
    shutil.rmtree(tmp_path / "out")
    gates.let_go("milan_baseline-seed0")
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 4, err
    assert "out is gone: was it moved or deleted meanwhile?" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_a_run_with_130_and_the_same_command_goes_on(
    tmp_path: Path, text_model: str, gates: Gates
):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "optim.epochs=12"]
    words += ["--machine", "debug", "--no-wandb", "--output-dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "casas_ray", *words]
    gates.hold("milan_baseline-seed0", step=36)
    environment = {**os.environ, **gates.environment()}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    gates.wait_for("milan_baseline-seed0", driver=process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONG)
    gates.let_go("milan_baseline-seed0")
    assert process.returncode == 130
    assert "interrupted" in err
    assert RunResult.read(tmp_path / "out").status == "stopped"
    subprocess.run(command, check=True, capture_output=True)
    result = RunResult.read(tmp_path / "out")
    assert result.status == "finished"
    assert result.step == result.info["total_steps"] == 12 * 18


@pytest.mark.parametrize("word", ["optim.precision=bf16", "optim.compile=cuda_graphs"])
def test_what_only_a_gpu_does_is_refused_before_anything_is_prepared(run, word: str):
    code, _, err = run("train", "milan_tiny", "--simulated", "data.simulate.days=7", word)
    assert code == 2
    assert "with a GPU" in err
    assert "reading" not in err


def test_two_commands_do_not_work_in_one_folder(tmp_path: Path):
    from casas_ray.errors import RefusedError
    from casas_ray.records.lock import locked

    with (
        locked(tmp_path),
        pytest.raises(RefusedError, match="another casas-ray is at work"),
        locked(tmp_path),
    ):
        pass


BREAKPOINT = """
import sys
from casas_ray.training import loop
stopped = []
sys.breakpointhook = lambda: stopped.append("ray" in sys.modules)
step = loop.train_step
def with_breakpoint(state, batch, **more):
    if state.step == 1:
        breakpoint()
    return step(state, batch, **more)
loop.train_step = with_breakpoint
from casas_ray.cli.entry import run as run_words
assert run_words(sys.argv[1:], debug=True) == 0
assert stopped == [False], stopped
"""


def test_a_breakpoint_in_the_loop_stops_in_this_process_without_ray(tmp_path, text_model: str):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "optim.epochs=1"]
    words += ["--machine", "debug", "--no-wandb", "--output-dir", str(tmp_path / "out")]
    subprocess.run([sys.executable, "-c", BREAKPOINT, *words], check=True, env=os.environ.copy())


def test_a_simulated_log_has_the_truth_beside_it_and_its_numbers_above(run, data_root: Path):
    code, out, _ = run("simulate", "milan", "--days", "3", "--seed", "5")
    assert code == 0
    assert "SIMULATED milan" in out
    assert "events a day, mean" in out
    (log,) = data_root.glob("raw/milan-simulated-3d-seed5-*/data")
    assert log.with_name("truth.tsv").read_text().startswith("activity\tbegin\tend\n")


def test_homes_shows_what_is_known_and_what_is_at_hand(run, tmp_path: Path):
    log = tmp_path / "log"
    days = [
        f"2009-10-{day} 08:{minute}:02\tM012\tON"
        for day in range(16, 19)
        for minute in range(10, 30)
    ]
    log.write_text("\n".join(days))
    run("prepare", "three_days", "--log", log)
    log.write_text("no log\n")
    assert run("prepare", "refused", "--log", log)[0] == 3
    log.write_text("\n".join(days))
    code, out, _ = run("homes", "--json")
    homes = json.loads(out)
    assert code == 0
    assert {"milan", "aruba", "cairo", "kyoto", "tulum", "three_days"} <= set(homes)
    assert "refused" not in homes
    assert homes["milan"]["sensors"] == 33
    assert homes["cairo"]["log"] is None
    assert homes["three_days"]["log"].endswith("three_days/data")
    assert not [name for name in homes if "simulated" in name]
    assert run("homes")[0] == 0


def test_describe_draws_a_window_with_its_captions_and_labels(run, small_set):
    code, out, _ = run("describe", small_set.folder, "--window", "3")
    assert code == 0
    assert "milan (SIMULATED home)" in out
    assert "Labels, never seen by captions or training:" in out
    assert out.count(" s │") == 20
    code, _, err = run("describe", small_set.folder, "--window", "99999")
    assert code == 2
    assert "there is no training window 99999" in err
    assert run("describe", "nowhere")[0] == 3


def test_a_profile_shows_where_time_goes_and_trains_nothing(run, text_model: str, tmp_path: Path):
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    code, out, _ = run(*words, "--profile", "--output-dir", tmp_path / "run")
    assert code == 0
    assert "aten::" in out
    assert "waiting for data" in out
    assert "peak memory" in out
    assert (tmp_path / "run" / "profile" / "trace.json").stat().st_size > 1000
    assert not (tmp_path / "run" / "ledger.jsonl").exists()


def test_settings_are_listed_and_a_field_that_the_data_lacks_is_refused_before_training(
    run, text_model: str, tmp_path: Path
):
    _, out, _ = run("settings")
    assert "loss.bank_size=0  (int ≥ 0 ≤ 1e+09)" in out
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    code, _, err = run(*words, "model.fields=sensor,floor", "--output-dir", tmp_path / "run")
    assert code == 2
    assert "model.fields asks for floor, which this data does not have" in err
    assert not (tmp_path / "run").exists()


def test_plan_says_what_so_many_seeds_can_show(run):
    code, out, _ = run("plan", "milan_ablation_mlm", "--seeds", 6, "--arms", "mlm_weight=0.0")
    assert code == 0
    said = " ".join(out.split())
    assert "2 arms x 6 seeds = 12 trials" in said
    assert "6 pairs of seeds: smallest p 0.0312; 95 % interval ± 1.05 standard" in said
    assert "1 of 1 arms be better or worse" in said
    shows = json.loads(run("plan", "milan_ablation_mlm", "--seeds", 3, "--json")[1])["can_show"]
    assert (shows["smallest_p"], shows["arms_that_can_pass"]) == (0.25, 0)
    assert shows["pairs_for_all"] == 8
    code, _, err = run("report", "never_run")
    assert code == 3
    assert "never_run holds no study" in err
