"""What is pushed to a cluster's data folder, without the cluster: whole and as it was, or not at
all; and studies packed there, unpacked here."""

import io
import json
import secrets
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from casas_ray import paths
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import CasasError, DataError, RefusedError
from casas_ray.files import sha256_of
from casas_ray.records.run_result import RunResult
from casas_ray.run.cluster import pull
from casas_ray.run.cluster.goods import Item, is_here, items_of, put_down
from casas_ray.run.cluster.pack import files_of, find, packed
from casas_ray.run.cluster.push import _packed
from casas_ray.run.cluster.receive import PIECE, take_piece, which_are_here


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a home `mine`, in a data folder of this test's own."""
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "here"))
    path = tmp_path / "here" / "raw" / "mine" / "data.txt"
    path.parent.mkdir(parents=True)
    path.write_text("2026-01-01 10:00:00 M001 ON\n" * 1000)
    return path


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Enters the cluster's data folder, in a working folder as an errand has it."""

    def enter() -> Path:
        monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "there"))
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        monkeypatch.chdir(work)
        return tmp_path / "there"

    return enter


def sent_in_pieces(archive: Path, size: int, work: Path, token: str) -> dict:
    content, told = archive.read_bytes(), {}
    for offset in range(0, len(content), size):
        piece = content[offset : offset + size]
        (work / PIECE).write_bytes(piece)
        is_last = offset + size >= len(content)
        told = dict(take_piece(token, offset, sha256_of(archive) if is_last else ""))
        assert not (work / PIECE).exists()  # Ray would keep it
    return told


def test_a_log_arrives_by_its_hash_in_pieces_of_any_size(log: Path, cluster, tmp_path: Path):
    goods = items_of("mine")
    assert [(item.kind, item.name, list(item.files)) for item, _ in goods] == [
        ("log", "mine", ["data.txt"])
    ]
    archive = _packed(goods, tmp_path / "goods.tar")
    there = cluster()
    asked = json.dumps([item.as_dict() for item, _ in goods])
    assert which_are_here(asked) == {"here": []}
    told = sent_in_pieces(archive, 7_001, tmp_path / "work", secrets.token_hex(16))
    assert told["put_down"]
    assert (there / "raw" / "mine" / "data.txt").read_bytes() == log.read_bytes()
    assert which_are_here(asked) == {"here": ["mine"]}
    assert [path.name for path in there.iterdir()] == ["raw"]
    assert there.stat().st_mode & 0o077 == 0


def test_a_set_goes_by_its_name_and_is_checked_there(
    small_set: PreparedSet, cluster, tmp_path: Path
):
    goods = items_of(small_set.folder.name)
    archive = _packed(goods, tmp_path / "goods.tar")
    there = cluster()
    sent_in_pieces(archive, 1 << 20, tmp_path / "work", secrets.token_hex(16))
    arrived = PreparedSet(there / "aligned" / small_set.folder.name)
    arrived.check(small_set.fingerprint)
    assert is_here(goods[0][0])
    (arrived.folder / "train.parquet").write_bytes(b"torn")
    assert not is_here(goods[0][0])
    with pytest.raises(RefusedError, match="is not the set that was sent"):
        put_down(goods[0][0], small_set.folder)


def test_a_simulated_log_is_no_homes_own(tmp_path: Path, log: Path):
    (log.parent / "truth.json").write_text("{}")
    from casas_ray.corpus.simulate.simulator import TRUTH_NAME

    (log.parent / TRUTH_NAME).write_text("{}")
    with pytest.raises(RefusedError, match="SIMULATED"):
        items_of("mine")


def test_another_log_of_the_home_is_never_written_over(log: Path, cluster, tmp_path: Path):
    archive = _packed(items_of("mine"), tmp_path / "goods.tar")
    other = cluster() / "raw" / "mine" / "data.txt"
    other.parent.mkdir(parents=True)
    other.write_text("2025-01-01 10:00:00 M001 OFF\n")
    with pytest.raises(RefusedError, match="another log of 'mine'"):
        sent_in_pieces(archive, 1 << 20, tmp_path / "work", secrets.token_hex(16))
    assert other.read_text().startswith("2025")


def test_what_is_altered_or_lacks_a_piece_is_refused_and_leaves_nothing(
    log: Path, cluster, tmp_path: Path
):
    archive = _packed(items_of("mine"), tmp_path / "goods.tar")
    there, work = cluster(), tmp_path / "work"
    token = secrets.token_hex(16)
    (work / PIECE).write_bytes(archive.read_bytes()[:5000])
    take_piece(token, 0, "")
    (work / PIECE).write_bytes(archive.read_bytes()[6000:])
    with pytest.raises(DataError, match="the bytes before 6,000 did not come"):
        take_piece(token, 6000, sha256_of(archive))
    altered = bytearray(archive.read_bytes())
    altered[-20_000] ^= 1
    (work / PIECE).write_bytes(altered)
    with pytest.raises(DataError, match="what came is not what was sent"):
        take_piece(secrets.token_hex(16), 0, sha256_of(archive))
    assert not (there / "raw").exists()


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../x", ".hidden", "a\nb", ""])
def test_no_name_leaves_its_folder(log: Path, cluster, tmp_path: Path, name: str):
    there, work = cluster(), tmp_path / "work"
    for kind, home, file in (("log", name, "data.txt"), ("log", "mine", name), ("set", name, "x")):
        item = Item(kind, home, {file: "0" * 64})  # type: ignore[arg-type]
        listed = json.dumps([item.as_dict()]).encode()
        with tarfile.open(work / PIECE, "w") as out:
            about = tarfile.TarInfo("goods.json")
            about.size = len(listed)
            out.addfile(about, io.BytesIO(listed))
            about = tarfile.TarInfo(f"{kind}/{home}/{file}")
            about.size = 1
            out.addfile(about, io.BytesIO(b"1"))
        with pytest.raises(CasasError):
            take_piece(secrets.token_hex(16), 0, sha256_of(work / PIECE))
    assert list(there.iterdir()) == []
    with pytest.raises(RefusedError):
        take_piece("../x", 0, "")


def test_what_a_push_left_that_was_given_up_goes_after_a_day(log: Path, cluster, tmp_path: Path):
    there, work = cluster(), tmp_path / "work"
    old, new = secrets.token_hex(16), secrets.token_hex(16)
    for token in (old, new):
        (work / PIECE).write_bytes(b"1")
        take_piece(token, 0, "")
    import os

    before = time.time() - 2 * 86_400
    os.utime(there / f".pushed-{old}", (before, before))
    (work / PIECE).write_bytes(b"1")
    take_piece(new, 1, "")
    assert [path.name for path in there.iterdir()] == [f".pushed-{new}"]


def test_a_run_is_found_packed_and_unpacked_as_it_was(
    whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path))
    shutil.copytree(whole_run, paths.runs() / "mine-1a2b3c")
    (paths.runs() / "mine-1a2b3c" / "run.json").write_text('{"recipe": {}}')
    folder = find("mine-1a2b3c")
    with pytest.raises(DataError, match=r"no study or run 'mine-1a2b3d'") as caught:
        find("mine-1a2b3d")
    assert "did you mean 'mine-1a2b3c'?" in caught.value.hint
    for weights, steps in (("none", 0), ("best", 1), ("all", 2)):
        with packed(folder, weights, tmp_path) as told:  # type: ignore[arg-type]
            archive = tmp_path / told["archive"]
            assert archive.stat().st_mode & 0o777 == 0o600
            assert (told["folder"], told["sha256"]) == ("mine-1a2b3c", sha256_of(archive))
            target = tmp_path / weights
            pull._unpack(archive, target)
        assert not archive.exists()
        assert len(list(target.glob("*/checkpoints/*"))) == steps, weights
    best = RunResult.read(folder).best_step
    (kept,) = (tmp_path / "best" / "mine-1a2b3c" / "checkpoints").iterdir()
    assert kept.name == f"step-{best:08d}"
    names = {name for name, _ in files_of(folder, "all")}
    assert all(not Path(name).name.startswith(".") for name in names)
