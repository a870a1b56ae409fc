"""docs/python.md runs, top to bottom, and prints what it promises."""

import re
from pathlib import Path

import numpy as np
import pytest

from casas_ray.run.environment import prepare_environment

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # it writes where it is
    prepare_environment()
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert "('SIMULATED home',)" in printed[0]
    assert printed[1].startswith("finished ")
    assert "sensor(s) of the events are not in home 'milan': M999" in printed[-1]
    assert names["found"].recipe.optim.learning_rate in (1e-3, 1e-6)
    assert "offline-run-" in str(list((tmp_path / "data/runs/my_search").glob("*/wandb/*")))
    windows, texts = names["windows"], names["texts"]
    assert windows.shape == (names["prepared"].manifest["windows"]["val"], 512)
    np.testing.assert_allclose(np.linalg.norm(windows, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1.0, atol=1e-5)
    assert [row.status for row in names["cr"].compare(names["record"]).arms] == ["finished"] * 2
