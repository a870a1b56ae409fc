"""Readers of our own files, whatever became of these: the truth, or a CasasError; never a traceback
and never other numbers.

`CASAS_RAY_FUZZ_SECONDS=900 pytest tests/records/test_fuzz_own_files.py` goes on for so long.
"""

import logging
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.damage import damaged

from casas_ray.cli import result_tables, tables
from casas_ray.cli.progress import Board
from casas_ray.config import Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.inventory import read_window
from casas_ray.errors import CasasError
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.caption_vectors import VectorStore
from casas_ray.records import checkpoints
from casas_ray.records.follow import Tail
from casas_ray.records.ledger import LEDGER
from casas_ray.records.provenance import CODE, snapshot
from casas_ray.records.run_record import RunRecord, claim, records_in, unsettled
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import StudyRecord, read_study, write_results
from casas_ray.records.verdict import Verdict, record_verdict, recorded_verdict
from casas_ray.report.table import curves, flat_rows, study_table
from casas_ray.report.verdicts import ArmVerdict
from casas_ray.sealed import read_sealed, write_sealed
from casas_ray.tracking.audit import classes
from casas_ray.tracking.outgoing import outgoing_of
from casas_ray.tracking.privacy import sent_verdict
from casas_ray.tracking.tensorboard import rebuild
from casas_ray.training import checkpoint

SECONDS = float(os.environ.get("CASAS_RAY_FUZZ_SECONDS", "0"))
CASES = 40
SHOWN = Console(file=open(os.devnull, "w"), width=140)  # noqa: PTH123, SIM115


@dataclass
class Target:
    """A folder of whole files, which of them are damaged, and who reads them then."""

    source: Path
    files: tuple[str, ...]
    read: Callable[[Path], object]


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory, whole_run: Path, small_recipe: Recipe) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed") / "study"
    trials = (("base", 0, "base-seed0"), ("arm", 0, "arm-seed0"))
    for arm, _, name in trials:
        shutil.copytree(whole_run, folder / name)
        record = RunRecord(
            f"study/{name}", folder / name, small_recipe, Tracking(tags=("mine",)), "study", arm
        )
        record.write()
        scores = {"test/recall_mean": 0.5}
        columns = {"trained": scores, "untrained": scores}
        record_verdict(folder / name, Verdict(36, ("SIMULATED home",), columns, (0.1, 0.2)))
    caveats = ("SIMULATED home",)
    record = StudyRecord(folder, "study", "Why?", ("milan",), False, caveats, trials)
    write_sealed(folder / "study.json", record.about() | {"trials": trials})
    write_results(record, study_table(record.results()).as_dict())
    return folder


def read_a_study(folder: Path) -> None:
    record = read_study(folder)
    results = record.results()
    table = study_table(results)
    SHOWN.print(
        result_tables.comparison(
            table,
            "title",
        )
    )
    flat_rows(table), curves(results), table.as_dict()
    write_results(record, table.as_dict())


def read_a_run(folder: Path) -> None:
    run = folder / "base-seed0"
    result = RunResult.read(run)
    assert isinstance(result.status, str)
    result.best(), result.untrained(), result.info, result.error, result.step
    board = Board(["base-seed0"], lambda text: None, lambda done, total, news: None)
    for row in Tail(run).new_rows():
        board.hear(0, row)
    verdict = recorded_verdict(run)
    if verdict is not None:
        SHOWN.print(
            result_tables.verdicts([ArmVerdict("arm", ("run",), (0,), (verdict,))], "title")
        )
        sent_verdict(verdict)
    for record in records_in(folder):
        classes(outgoing_of(record), record.tracking)
    rebuild(RunRecord.read(run))
    checkpoints.to_go_on_from(run)
    unsettled(records_in(folder))


def claim_a_run(folder: Path, recipe: Recipe) -> None:
    run = folder / "base-seed0"
    claim(RunRecord("study/base-seed0", run, recipe, Tracking(), "study", "base"))
    assert RunRecord.read(run).recipe == recipe


def read_a_checkpoint(folder: Path) -> None:
    run = folder / "base-seed0"
    newest = checkpoints.latest(run)
    if newest is not None:
        checkpoint.tensors_of(newest, checkpoint.OPTIMIZER)
    opened = TrainedRun.open(run)
    assert opened.step == RunResult.read(run).best_step or not RunResult.read(run).rows
    assert opened.vocabulary
    checkpoint.tensors_of(opened.checkpoint, checkpoint.WEIGHTS)


def read_a_set(folder: Path) -> None:
    prepared = PreparedSet(folder)
    SHOWN.print(tables.summary(prepared.manifest))
    prepared.check()
    use_a_set(prepared)


def use_a_set(prepared: PreparedSet) -> None:
    SetFacts.of(prepared).sizes()
    for split in ("train", "val", "test"):
        store = WindowStore.of(prepared.windows(split))
        prepared.lengths(split)
        store.records(np.arange(len(store)), store.longest(np.arange(len(store))))
    captions = prepared.captions()
    assert all(text.encode() for text in captions)
    SHOWN.print(tables.window(read_window(prepared, 0)))


@pytest.fixture(scope="module")
def targets(
    tmp_path_factory, study_folder: Path, small_recipe: Recipe, small_set: PreparedSet
) -> dict[str, Target]:
    base = tmp_path_factory.mktemp("targets")
    checkpoints = sorted(study_folder.glob("base-seed0/checkpoints/step-*"))
    parts = [f"base-seed0/checkpoints/{one.name}/{file.name}" for one in checkpoints
             for file in sorted(one.iterdir())]  # fmt: skip
    old = base / "old_set"
    shutil.copytree(small_set.folder, old)
    held = read_sealed(old / "manifest.json", hint="")
    del held["files"]
    write_sealed(old / "manifest.json", held)
    vectors, captions = base / "vectors", [f"caption {number}" for number in range(40)]
    rng = np.random.default_rng(0)
    numbers = rng.random((40, 16), dtype=np.float32)
    for start in range(0, 40, 10):
        part = slice(start, start + 10)
        VectorStore(vectors).write(captions[part], numbers[part])

    def read_vectors(folder: Path) -> None:
        store = VectorStore(folder)
        missing = set(store.missing(captions))
        rows = [row for row, caption in enumerate(captions) if caption not in missing]
        if rows:
            found = store.read([captions[row] for row in rows])
            assert np.array_equal(found, numbers[rows])

    repository = base / "repository"
    repository.mkdir()
    (repository / "code.py").write_text("x = 1\n")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=repository, check=True)
    archives = base / "archives"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        snapshot(archives)

    def read_code(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(repository)
            taken = snapshot(folder)
        with zipfile.ZipFile(taken) as packed:
            assert packed.testzip() is None

    def read_old(folder: Path) -> None:
        use_a_set(PreparedSet(folder))

    records = ("base-seed0/run.json", "base-seed0/test.json", f"base-seed0/{LEDGER}")
    names = tuple(sorted(path.name for path in small_set.folder.iterdir() if path.is_file()))
    used = ("manifest.json", "vocab.json", "captions.parquet", "train.parquet", "val.parquet")
    return {
        "study": Target(study_folder, ("study.json", "results.json", *records), read_a_study),
        "run": Target(study_folder, records, read_a_run),
        "claim": Target(study_folder, records, lambda folder: claim_a_run(folder, small_recipe)),
        "checkpoint": Target(study_folder, (*parts, records[2]), read_a_checkpoint),
        "set": Target(small_set.folder, names, read_a_set),
        OLD: Target(old, used, read_old),
        "vectors": Target(vectors, tuple(path.name for path in vectors.iterdir()), read_vectors),
        "code": Target(archives, (CODE,), read_code),
    }


OLD = "set of an earlier version"


@pytest.mark.parametrize(
    "name", ["study", "run", "claim", "checkpoint", "set", OLD, "vectors", "code"]
)
def test_a_damaged_file_of_ours_is_named_or_mended(
    name: str, targets: dict[str, Target], tmp_path: Path, caplog, capfd
):
    caplog.set_level(logging.CRITICAL)
    target, end = targets[name], time.monotonic() + SECONDS / 8
    seed = int(os.environ.get("CASAS_RAY_FUZZ_SEED", "0"))
    cases = 0
    while cases < CASES or time.monotonic() < end:
        _one_case(target, tmp_path / "case", random.Random(f"{name} {seed}"), seed)
        cases, seed = cases + 1, seed + 1
    if SECONDS:
        with capfd.disabled():
            sys.stderr.write(f"{name}: {cases} cases\n")


def _one_case(target: Target, folder: Path, rng: random.Random, seed: int) -> None:
    shutil.copytree(target.source, folder)
    others = [target.source / name for name in target.files]
    done = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        done.append(damaged(folder / rng.choice(target.files), others, rng))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(folder)
    except CasasError:
        pass
    except BaseException as error:
        error.add_note(f"seed {seed}: {', '.join(done)}")
        raise
    finally:
        shutil.rmtree(folder)
