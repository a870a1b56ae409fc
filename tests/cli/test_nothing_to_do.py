"""The same command again, when nothing is left to train, waits for nothing that trains."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.recipes import SMALL

from casas_ray.paths import runs

AGAIN = (
    "import sys\n"
    "from casas_ray.cli.entry import run\n"
    "code = run(sys.argv[1:], debug=True)\n"
    "heavy = {'torch', 'ray', 'wandb', 'transformers'} & set(sys.modules)\n"
    "assert not heavy, heavy\n"
    "sys.exit(code)\n"
)


def test_an_ended_study_is_shown_without_torch(run, tmp_path: Path, text_model: str, monkeypatch):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    base = {**SMALL, "text.model": text_model, "optim.epochs": 1}
    study = tmp_path / "ended.py"
    study.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study\n"
        f"BASE = Recipe(name='small').replace({base!r})\n"
        "STUDY = Study(question='Over?', base=BASE, seeds=(0, 1), arms=[])\n"
    )
    words = ["tune", str(study), "--machine", "debug", "--no-wandb", "--json"]
    code, first, err = run(*words)
    assert code == 0, err
    (folder,) = runs().glob("ended-*")
    (folder / "results.json").unlink()
    command = [sys.executable, "-c", AGAIN, *words]
    ended = subprocess.run(command, env=os.environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == json.loads(first)
    assert "2 of 2 trials ended before" in ended.stderr
    assert (folder / "results.json").exists()
    # What is damaged is mended by the long way, and what is missing is trained.
    (folder / "base-seed1" / "run.json").write_text("{")
    assert run(*words)[0] == 0
    assert json.loads((folder / "base-seed1" / "run.json").read_text())["arm"] == "base"
    assert len(json.loads(run(*words, "--seeds", 3, "--extend")[1])["arms"]) == 1
