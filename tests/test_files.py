"""Folders of ours: who may enter them, and TOML that is none."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from casas_ray.errors import DataError
from casas_ray.files import new_folder, private_folder, read_toml


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_new_folders_are_ours_alone_whatever_the_umask_is(tmp_path: Path, mask: int):
    with umask(mask):
        private_folder(tmp_path / "data" / "runs" / "one")
        with new_folder(tmp_path / "data" / "aligned" / "set"):
            pass
    for name in ("data", "data/runs", "data/runs/one", "data/aligned", "data/aligned/set"):
        assert mode(tmp_path / name) == 0o700


@pytest.mark.parametrize(
    ("chosen", "below"), [(0o750, 0o750), (0o770, 0o770), (0o2770, 0o2770), (0o755, 0o700)]
)
def test_a_folder_that_was_opened_to_a_group_stays_open_to_it(
    tmp_path: Path, chosen: int, below: int
):
    shared = tmp_path / "data"
    shared.mkdir()
    shared.chmod(chosen)
    private_folder(shared / "runs" / "one")
    with new_folder(shared / "aligned"):
        pass
    assert mode(shared) == chosen
    assert {mode(shared / "runs"), mode(shared / "runs" / "one"), mode(shared / "aligned")} == {
        below
    }


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"a = " + b"9" * 5000, b"a = " + b"[" * 50_000, b"a = [", b"\0"]
)
def test_what_is_no_toml_is_one_line(tmp_path: Path, content: bytes):
    path = tmp_path / "home.toml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"home\.toml"):
        read_toml(path)
