"""docs/own_study.md: its files are studies, its commands are commands, its names come out so."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from casas_ray.catalog import find_study
from casas_ray.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "own_study.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
SHELL = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture
def widths(tmp_path: Path) -> Path:
    path = tmp_path / "widths.py"
    path.write_text(CODE[0])
    return path


def test_the_first_file_is_a_study(run, widths: Path):
    code, out, err = run("plan", widths)
    assert code == 0, err
    assert "3 arms x 3 seeds = 9 trials" in out
    assert "model.width=96" in out


def test_the_rest_of_the_page_is_one_study_with_the_names_that_it_promises(tmp_path: Path):
    path = tmp_path / "all_of_it.py"
    path.write_text("\n".join(CODE[1:]))
    study = find_study(str(path))
    names = [arm.name for arm in study.arms]
    assert names[:3] == ["learning_rate=1e-4", "learning_rate=3e-4", "layers=2+mlm_weight=0.0"]
    assert names[-3:] == ["no_dropout", "all_at_once", "small"]
    assert len(study.trials()) == (1 + 9) * 5
    assert study.base.data.windows.length == 10


def test_its_commands_are_there():
    known = typer.main.get_command(app).commands
    lines = [line for block in SHELL for line in block.splitlines()]
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[0] == "casas-ray"
        assert words[1] in known


@pytest.mark.slow
def test_the_first_file_trains(run, widths: Path, text_model: str):
    words = ["--simulated", "--quick", "data.simulate.days=3", f"text.model={text_model}"]
    code, out, err = run(
        "tune", widths, *words, "optim.epochs=1", "--machine", "debug", "--no-wandb"
    )
    assert code == 0, err
    assert "width=384" in out
