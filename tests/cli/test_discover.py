"""From a home to a map of it in one command, which goes on where it stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.gate import Gates
from support.recipes import SMALL
from support.waiting import LONG

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals.discovery import better_of
from casas_ray.records.run_result import RunResult

SETTINGS = {**SMALL, "optim.epochs": 1}
WORDS = [f"{name}={json.dumps(value)}" for name, value in SETTINGS.items() if name[:5] != "data."]
OF_DATA = ["data.simulate.days=3", "data.captions.per_window=2"]
SEAT = ["--machine", "debug", "--no-wandb", "--quick", "--k", "4"]


def row(value: float, *, labelled: bool = True) -> dict[str, float]:
    return {"nmi": value, "agreement": 0.5} if labelled else {"agreement": value}


def test_the_better_clusters_are_chosen_by_labels_else_by_seeds_and_a_training_must_pay():
    better, said = better_of({"encoder": row(0.7), "joined": row(0.6), "hand": row(0.65)})
    assert better == "encoder"
    assert said.startswith("By NMI against labels, on validation days: what was learned (")
    level = {"encoder": row(0.604), "joined": row(0.5), "hand": row(0.6)}
    better, said = better_of(level)
    assert better == "hand"
    assert "the hand mix alone, level with the best and without a training" in said
    bare = {"encoder": row(0.6, labelled=False), "hand": row(0.9, labelled=False)}
    better, said = better_of(bare)
    assert better == "hand"
    assert "nobody labelled it" in said
    assert "what was learned 0.600, the hand mix alone 0.900" in said


def test_one_command_trains_groups_draws_and_judges_and_a_second_repeats_it(run, text_model: str):
    words = ["discover", "milan", "--simulated", *OF_DATA, *WORDS, f"text.model={text_model}"]
    code, out, err = run(*words, *SEAT, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert [f"[{stage}/4]" in err for stage in (1, 2, 3, 4)] == [True] * 4
    assert told["clusters"]["caveats"] == ["SIMULATED home", "quick"]
    wanted = {"trained", "trained + hand mix", "hand mix", "sensor counts", "untrained"}
    assert set(told["clusters"]["rows"]) == wanted
    assert {row["name"] for row in told["evaluation"]["rows"]} >= wanted
    page = Path(told["page"])
    assert page.name == f"{told['better']}-kmeans-4-val.html"
    assert "SIMULATED home" in page.read_text()
    folders = {path.parent.name for path in Path(told["run"]).glob("clusters/*/clusters.json")}
    assert folders == {"encoder-kmeans-4-val", "joined-kmeans-4-val", "hand-kmeans-4-val"}

    ledger = (Path(told["run"]) / "ledger.jsonl").read_bytes()
    code, again, err = run(*words, *SEAT, "--json")
    assert (code, json.loads(again)) == (0, told)
    assert (Path(told["run"]) / "ledger.jsonl").read_bytes() == ledger
    assert "trained before" in err
    assert "fitting probes" not in err
    assert not (Path(told["run"]) / "test.json").exists()

    kept = Path(told["run"]) / "clusters" / "probes-val.json"
    kept.write_text(kept.read_text().replace("majority", "minority"))
    code, out, err = run(*words, *SEAT)
    assert code == 0
    assert "is damaged, and is made again" in err
    text = " ".join(out.split())
    assert told["said"] in text
    assert "Activities told from vectors" in text
    assert "Names are proposed" in text
    assert "looks at its test days, once" in text


def test_a_home_that_nobody_labelled_is_discovered(
    run, small_set: PreparedSet, text_model: str, tmp_path: Path
):
    events = pq.read_table(small_set.folder / "events.parquet")
    times = events.column("time_us").to_numpy().astype("datetime64[us]")
    rows = zip(times, events.column("sensor"), events.column("state"), strict=True)
    log = tmp_path / "bare.txt"
    log.write_text("".join(f"{str(t).replace('T', ' ')}\t{s}\t{v}\n" for t, s, v in rows))
    changes = "data.captions.per_window=2"
    code, out, _ = run("prepare", "unlabelled_found", "--log", log, changes, "--json")
    assert code == 0
    name = Path(json.loads(out)["folder"]).name
    code, out, err = run("discover", name, *WORDS, f"text.model={text_model}", *SEAT)
    assert code == 0, err
    text = " ".join(out.split())
    assert "how far five seeds agree, for nobody labelled it" in text
    assert "Nobody labelled these windows" in text
    assert "Activities told from vectors" not in text


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["nowhere_at_all"], 3, "nowhere_at_all"),
        (["milan", "data.homes=aruba"], 2, "both milan and data.homes=aruba name the home"),
        (["optim.epochs=3"], 2, "'optim.epochs=3' is no home's name"),
        (["milan", "--simulated", "--k", "1"], 2, "--k '1' is no number of clusters"),
        (["milan", "--simulated", "optim.epoch=3"], 2, "unknown setting 'optim.epoch'"),
        (["milan", "--machine", "nowhere"], 2, "nowhere"),
    ],
)
def test_what_cannot_be_discovered_is_one_line(run, words: list[str], code: int, problem: str):
    ended, out, err = run("discover", *words)
    assert (ended, out) == (code, "")
    assert problem in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_ctrl_c_in_a_training_leaves_what_was_done_and_the_same_command_goes_on(
    text_model: str, gates: Gates, tmp_path: Path
):
    words = ["discover", "milan", "--simulated", *OF_DATA, *WORDS, f"text.model={text_model}"]
    command = [sys.executable, "-m", "casas_ray", *words, *SEAT]
    environment = {**os.environ, **gates.environment(), "CASAS_RAY_DATA": str(tmp_path)}
    source = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{source}"
    gates.hold("recommended-seed0", step=3)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    gates.wait_for("recommended-seed0", driver=process)
    process.send_signal(signal.SIGINT)
    gates.let_go_when_asked("recommended-seed0")
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 130, err
    assert "interrupted; what was done stands, and the same command goes on." in err
    (folder,) = (tmp_path / "runs").iterdir()
    stopped = RunResult.read(folder)
    assert stopped.status == "stopped"
    gates.open()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LONG)
    assert done.returncode == 0, done.stderr
    assert "The map: " in done.stdout
    result = RunResult.read(folder)
    assert (result.status, len(result.infos)) == ("finished", 2)
