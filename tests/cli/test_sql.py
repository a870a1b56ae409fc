"""Questions in SQL: what the ledgers hold, and nothing that lies elsewhere."""

import json
from pathlib import Path

import pytest
from support.studies import study_on_disk

pytest.importorskip("duckdb")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    changes = {"a": {"loss.mlm_weight": 0.9}}
    study_on_disk(tmp_path / "x-1", {"base": [0.3, 0.5], "a": [0.4, None]}, changes=changes)
    return tmp_path / "x-1"


def asked(run, study: Path, question: str) -> list[dict]:
    code, out, err = run("sql", study, question, "--json")
    assert code == 0, err
    return json.loads(out)


def test_trials_rows_and_settings_are_those_of_the_ledgers(run, study: Path):
    found = asked(
        run, study, 'select arm, seed, status, "val/recall_mean" as best from trials order by 1, 2'
    )
    assert found == [
        {"arm": "a", "seed": 0, "status": "finished", "best": 0.4},
        {"arm": "a", "seed": 1, "status": "diverged", "best": None},
        {"arm": "base", "seed": 0, "status": "finished", "best": 0.3},
        {"arm": "base", "seed": 1, "status": "finished", "best": 0.5},
    ]
    (row,) = asked(run, study, "select count(distinct step) as n from rows where arm = 'base'")
    assert row == {"n": 7}
    said = "select value from settings where arm = 'a' and path = 'loss.mlm_weight'"
    assert asked(run, study, said) == [{"value": "0.9"}]
    code, out, _ = run("sql", study, "select error from trials where error is not null")
    assert (code, "the loss is nan at step 60" in out, "SIMULATED home" in out) == (0, True, True)


@pytest.mark.parametrize(
    "question",
    [
        "select * from read_csv('{file}')",
        "select * from read_text('{file}')",
        "select * from '{file}'",
        "copy trials to '{file}.out'",
        "attach '{file}.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "delete from trials",
        "create table x as select 1",
        "select 1; select 2",
        "select * from record",
        "select * from glob('/**')",
        "select getenv('HOME')",
        "selct",
        "select no_such from trials",
        "",
    ],
)
def test_nothing_else_is_read_or_written(run, study: Path, tmp_path: Path, question: str):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\nkey,value\n")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run("sql", study, question.format(file=secret))
    assert code == 2, out
    assert "key" not in out
    assert len(err.strip().splitlines()) <= 2
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_terminal_would_obey_is_shown(run, study: Path):
    code, out, _ = run("sql", study, "select chr(27) || '[31m' as x, '[bold]b[/bold]' as y")
    assert code == 0
    assert "\x1b" not in out
    assert "[bold]b[/bold]" in out
