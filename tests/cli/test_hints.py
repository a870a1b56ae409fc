"""A name that was misspelt is answered with the one that was meant, a user's own too."""

from pathlib import Path

import pytest
from support.said import told

from casas_ray.paths import example_configuration, meant


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a home, a set and a study of the user's own, and nothing in them."""
    monkeypatch.delenv("CASAS_RAY_DATA")
    monkeypatch.chdir(tmp_path)
    for name in ("raw/grandmas_flat", "aligned/flat-1a2b3c", "runs/widths-flat-99/base-seed0"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["train", "data.homes=grandma_flat"], 3, "did you mean 'grandmas_flat'?"),
        (["train", "data.homes=milna"], 3, "did you mean 'milan'?"),
        (["tune", "milan_ablation_mlm", "data.homes=arubba"], 3, "did you mean 'aruba'?"),
        (["simulate", "milna"], 3, "did you mean 'milan'?"),
        (["describe", "flat-1a2b"], 3, "did you mean data/aligned/flat-1a2b3c?"),
        (["describe", "data/aligned/flat"], 3, "did you mean data/aligned/flat-1a2b3c?"),
        (["table", "widths-flat"], 3, "did you mean data/runs/widths-flat-99?"),
        (["runs", "data/runs/widhts-flat-99"], 3, "did you mean data/runs/widths-flat-99?"),
        (["plot", "widths"], 3, "did you mean data/runs/widths-flat-99?"),
        (["sync", "data/runs/width/base-seed0"], 3, "did you mean data/runs/widths-flat-99?"),
        (
            ["evaluate", "data/runs/widths-flat-99/bse-seed0"],
            3,
            "did you mean data/runs/widths-flat-99/base-seed0?",
        ),
        (["probe", "nothing_like_it"], 3, "`casas-ray runs` lists those on disk."),
        (["train", "--config", "milan_baseline_config.json"], 3, "an example is /"),
        (["config", "nowhere.json"], 3, "`casas-ray config milan_baseline > mine.json` writes one"),
    ],
)
def test_the_nearest_is_named(run, own_data: Path, words: list[str], code: int, hint: str):
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert hint in err
    assert len(told(err)) == 2


def test_the_example_configuration_that_a_hint_names_is_there():
    example = example_configuration()
    assert example is not None
    assert example.is_file()


def test_a_folder_is_never_meant_for_itself(own_data: Path):
    assert meant(own_data / "runs" / "widths-flat-99", own_data / "runs", otherwise="-") == "-"
