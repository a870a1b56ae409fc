"""What a shell offers at Tab, asked as typer's scripts ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = (
    "import sys; sys.argv = ['casas-ray']\n"
    "from casas_ray.cli import main\n"
    "try: main()\n"
    "except SystemExit as end: assert end.code == 0, end.code\n"
    "heavy = {'torch', 'ray', 'wandb', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)\n"
    "assert not heavy, heavy\n"
)


def offered(line: str, *, folder: Path | None = None) -> list[str]:
    """What bash offers for the last word of a line."""
    words = line.replace("=", " = ").split(" ")
    environment = {
        **os.environ,
        "_CASAS_RAY_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    ended = subprocess.run(
        [sys.executable, "-c", ASK], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


STUDIES = ["milan_ablation_masking", "milan_ablation_mlm"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("casas-ray pla", ["plan"]),
        ("casas-ray plan milan_ablation_t", ["milan_ablation_temperature", "milan_ablation_text"]),
        ("casas-ray tune milan_ablation_m", STUDIES),
        ("casas-ray train --machine two", ["two-workers"]),
        ("casas-ray train milan_t", ["milan_tiny"]),
        ("casas-ray fetch ca", ["cairo"]),
        ("casas-ray prepare milan,ar", ["milan,aruba"]),
        ("casas-ray train milan_tiny data.homes=tu", ["tulum"]),
        ("casas-ray train optim.compile=c", ["cuda_graphs"]),
        ("casas-ray tune milan_ablation_mlm loss.kind=", ["infonce", "sigmoid", "focal"]),
        ("casas-ray plan milan_ablation_mlm optim.val", ["optim.validate_every="]),
        ("casas-ray train machine.seat=", ["ray", "debug"]),
    ],
)
def test_names_settings_and_their_values_are_offered_without_heavy_imports(
    line: str, wanted: list[str]
):
    assert offered(line) == wanted


def test_what_is_on_disk_is_offered_and_names_from_hell_are_not(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("CASAS_RAY_DATA")
    (tmp_path / "tune_spaces").mkdir()
    for name in ("mine.py", "$(touch owned).py", "a'b.py"):
        (tmp_path / "tune_spaces" / name).write_text("raise SystemExit('this is never run')")
    for name in ("study-1a2b", "$(touch owned)", "empty"):
        (tmp_path / "data" / "runs" / name / "base-seed0").mkdir(parents=True)
        if name != "empty":
            (tmp_path / "data" / "runs" / name / "study.json").write_text("{}")
            (tmp_path / "data" / "runs" / name / "base-seed0" / "run.json").write_text("{}")
    (tmp_path / "data" / "raw" / "my_home").mkdir(parents=True)
    assert "mine" in offered("casas-ray tune ", folder=tmp_path)
    assert not any("owned" in each for each in offered("casas-ray tune ", folder=tmp_path))
    assert offered("casas-ray table ", folder=tmp_path) == ["data/runs/study-1a2b"]
    trial = "data/runs/study-1a2b/base-seed0"
    assert offered("casas-ray probe data/runs/study-1a2b/", folder=tmp_path) == [trial]
    assert offered("casas-ray prepare my", folder=tmp_path) == ["my_home"]
    assert not list(tmp_path.glob("owned"))


def test_the_script_for_a_shell_is_shown(run, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    words = [sys.executable, "-m", "casas_ray", "--show-completion", "bash"]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "complete -o default -F _casas_ray_completion casas-ray" in ended.stdout
