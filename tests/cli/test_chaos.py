"""What `chaos` refuses, and which faults it would inject; none is injected here."""

import json

from casas_ray.run.chaos.schedule import WHAT, WITHOUT_RAY, schedule

STUDY = "milan_ablation_mlm"


def test_the_schedule_is_a_function_of_the_seed_and_has_every_kind_before_any_twice():
    faults = schedule(0, 10.0, with_ray=True)
    assert faults == schedule(0, 10.0, with_ray=True)
    assert faults != schedule(1, 10.0, with_ray=True)
    assert {fault.kind for fault in faults[: len(WHAT)]} == set(WHAT)
    assert 600 / 25 <= len(faults) <= 600 / 5
    times = [fault.at for fault in faults]
    assert times == sorted(times)
    assert max(times) < 600


def test_without_ray_only_the_command_itself_and_its_files_are_befallen():
    assert {fault.kind for fault in schedule(0, 10.0, with_ray=False)} == set(WITHOUT_RAY)


def test_a_dry_run_shows_the_schedule_and_trains_nothing(run, data_root):
    before = set(data_root.rglob("chaos-*"))
    code, out, _ = run("chaos", STUDY, "--simulated", "--minutes", 3, "--dry-run", "--json")
    assert code == 0
    wanted = [{"seconds": each.at, "kind": each.kind} for each in schedule(0, 3.0, with_ray=True)]
    assert json.loads(out) == wanted
    code, out, _ = run("chaos", STUDY, "--simulated", "--minutes", 3, "--dry-run")
    assert code == 0
    assert "kill -9 of the command itself" in out
    assert set(data_root.rglob("chaos-*")) == before


def test_a_cluster_of_somebody_elses_is_refused(run, monkeypatch):
    code, _, err = run("chaos", STUDY, "--simulated", "machine.address=127.0.0.1:6379")
    assert code == 8
    assert "is a cluster that this command did not start" in err
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    code, _, err = run("chaos", STUDY, "--simulated")
    assert code == 8
    assert "RAY_ADDRESS=127.0.0.1:6379" in err


def test_a_span_without_a_fault_is_no_test(run):
    code, _, err = run("chaos", STUDY, "--simulated", "--minutes", 0.1, "--seed", 0)
    assert code == 2
    assert "no fault comes in 0.1 minutes" in err
