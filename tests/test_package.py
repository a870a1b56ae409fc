"""The wheel: built from the tree and installed elsewhere, it still knows studies and homes."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_wheel_installed_elsewhere_plans_a_study_and_knows_the_homes(tmp_path: Path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    subprocess.run([*build, REPOSITORY], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    target = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", target]
    subprocess.run([*install, wheel], check=True, capture_output=True)
    # The other packages come from here; the project itself must not.
    here = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (target / "others.pth").write_text(f"{here}\n")
    code = (
        "import casas_ray, sys; assert 'venv' in casas_ray.__file__, casas_ray.__file__\n"
        "from casas_ray.catalog import find_machine\n"
        "from casas_ray.corpus.homes import known_homes\n"
        "assert {'milan', 'aruba', 'cairo', 'kyoto', 'tulum'} <= set(known_homes())\n"
        "assert find_machine('two-workers').workers == 2\n"
        "from casas_ray.paths import example_configuration\n"
        "assert 'venv' in str(example_configuration())\n"
        "sys.argv = ['casas-ray', 'plan', 'milan_ablation_mlm']\n"
        "from casas_ray.cli import main; main()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "5 arms x 6 seeds = 30 trials" in ended.stdout
