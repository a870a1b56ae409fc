"""Commands that read what was trained in a storage, where it lies: a disk that never had it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.s3_server import KEYS, bucket

from casas_ray import paths
from casas_ray.errors import RefusedError
from casas_ray.records.ledger import Ledger
from casas_ray.records.storage_mirror import copy_here

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        with bucket() as made:
            yield made


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}/elsewhere"
    root, _, endpoint = str(request.getfixturevalue("server")).partition("?")
    return f"{root}/{tmp_path.name}?{endpoint}"


def within(storage: str, *parts: str) -> str:
    place, mark, endpoint = storage.partition("?")
    return "/".join([place, *parts]) + mark + endpoint


@pytest.fixture
def trained(storage: str, study: Path, run: Run, tmp_path: Path, monkeypatch) -> tuple[str, dict]:
    """The name of a study that was trained with a storage, and its table; its disk is gone."""
    aligned = paths.aligned()
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "disk"))
    if aligned.is_dir():
        shutil.copytree(aligned, paths.aligned())
    words = ["tune", study, "--machine", "debug", "--no-wandb", "--json"]
    code, out, err = run(*words, f"machine.storage={storage}")
    assert code == 5, err  # an arm must diverge
    told = json.loads(out)
    folder = Path(told["folder"])
    shutil.rmtree(paths.runs())
    return folder.name, told


def test_a_study_is_shown_reported_and_listed_from_where_it_lies(
    trained: tuple[str, dict], storage: str, run: Run, tmp_path: Path
):
    name, told = trained
    code, out, err = run("table", within(storage, name), "--json")
    assert code == 5, err
    assert json.loads(out) == told
    assert not list(paths.runs().glob("*/*/checkpoints"))  # a table needs none
    shutil.rmtree(paths.runs())
    code, out, err = run("report", within(storage, name), "--md", "--to", tmp_path)
    assert code == 0, err
    assert "base" in (tmp_path / "report.md").read_text()
    shutil.rmtree(paths.runs())
    code, out, err = run("runs", storage, "--json")
    assert code == 0, err
    assert sorted((one["arm"], one["seed"]) for one in json.loads(out)) == [
        ("base", 0),
        ("base", 1),
        ("learning_rate=1e30", 0),
        ("learning_rate=1e30", 1),
    ]


def test_the_test_days_of_what_lies_in_a_storage_are_looked_at_once(
    trained: tuple[str, dict], storage: str, run: Run
):
    name, _ = trained
    trial = within(storage, name, "base-seed0")
    code, out, err = run("evaluate", trial, "--json")
    assert code == 0, err
    folder = paths.runs() / name / "base-seed0"
    assert [path.name for path in folder.glob("checkpoints/*")] == ["step-00000018"]
    look = (folder / "test.json").read_bytes()
    shutil.rmtree(paths.runs())
    code, again, err = run("evaluate", trial, "--json")
    assert (code, json.loads(again)) == (0, json.loads(out)), err
    assert (folder / "test.json").read_bytes() == look
    code, _, err = run("probe", trial, "--json")
    assert code == 0, err
    code, out, err = run("sync", trial)
    assert code == 0, err
    assert "base-seed0: made anew offline" in out


def test_a_study_that_went_on_in_the_storage_is_brought_up_to_it(
    trained: tuple[str, dict], storage: str, run: Run, study: Path
):
    name, _ = trained
    here = copy_here(within(storage, name))
    assert [path.name for path in here.glob("base-seed0/checkpoints/*")] == ["step-00000018"]
    shutil.copytree(here, here.with_name("before"))
    words = ["tune", study, "--machine", "debug", "--no-wandb", "--seeds", "3", "--extend"]
    assert run(*words, f"machine.storage={storage}")[0] == 5
    shutil.rmtree(here)
    here.with_name("before").rename(here)
    assert len(list(copy_here(within(storage, name)).glob("base-seed*/run.json"))) == 3
    # One that went on here is told from one that is behind.
    Ledger(here / "base-seed0").append("metrics", 19, metrics={"train/total_loss": 1.0})
    assert copy_here(within(storage, name)) == here
    (here / "base-seed0" / "ledger.jsonl").write_text('{"event": "start"}\n')
    with pytest.raises(RefusedError, match="went on each by itself"):
        copy_here(within(storage, name))


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("what://is/this", 2, "what://is/this names no storage"),
        ("s3://runs/x?endpoint_override=127.0.0.1:9&scheme=http", 4, "the storage s3://runs/x"),
        ("file://{tmp}/nothing", 3, "holds no run and no study"),
    ],
)
@pytest.mark.parametrize("command", ["table", "evaluate", "runs", "report", "sync"])
def test_a_storage_that_has_it_not_is_told_in_a_line(
    command: str, address: str, code: int, said: str, run: Run, tmp_path: Path, monkeypatch
):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    found, out, err = run(command, address.format(tmp=tmp_path))
    assert (found, out) == (code, ""), err
    assert said in err.replace("\n", " ")
    assert "hint: " in err
