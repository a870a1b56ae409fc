"""What a study of a thousand trials costs besides its trainings: four real Ray nodes on this
machine, and trainings of a single step. SIMULATED data.

`python -m benchmarks.thousand 1000`
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from casas_ray.records.ledger import LEDGER
from casas_ray.records.run_result import RunResult
from casas_ray.run.environment import prepare_environment

_NODES = 4
_STUDY = """
from casas_ray.config import Recipe
from casas_ray.study import Study, each
BASE = Recipe(name="one_step").replace({{
    "data.simulated": True, "data.simulate.days": 3, "data.captions.per_window": 1,
    "model.width": 32, "model.layers": 1, "model.heads": 2, "model.feed_forward": 64,
    "model.embedding": 16, "optim.batch_size": 32, "optim.max_steps": 1,
}})
STUDY = Study(question="What does a trial cost?", base=BASE, seeds=range({seeds}),
    arms=each("model.dropout", [0.0]))
"""


def figures(trials: int) -> dict[str, float]:
    """Seconds, megabytes and shares of a study of so many trials over four nodes of one CPU."""
    prepare_environment()
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="casas-ray-scale-") as folder:
        study, place = Path(folder) / "scale.py", Path(folder) / "study"
        study.write_text(_STUDY.format(seeds=trials // 2))
        os.environ.setdefault("CASAS_RAY_DATA", folder)
        command = [sys.executable, "-m", "casas_ray", "tune", str(study), "--no-wandb", "--json"]
        once = [*command, "--seeds", "1", "--machine", "debug", "--fresh"]
        subprocess.run(once, check=True, capture_output=True)  # data and vectors
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            for _ in range(_NODES):
                cluster.add_node(num_cpus=1)
            words = ["--output-dir", str(place), f"machine.address={cluster.address}"]
            return _measured([*command, *words], place)
        finally:
            cluster.shutdown()


def _measured(command: list[str], place: Path) -> dict[str, float]:
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    driver = subprocess.Popen(command, stdout=quiet, stderr=subprocess.PIPE, text=True)
    most, cpu = 0.0, 0.0
    while driver.poll() is None:
        most, cpu = max(most, _peak_mb(driver.pid)), max(cpu, _cpu_seconds(driver.pid))
        time.sleep(0.5)
    wall = time.perf_counter() - began
    assert driver.returncode == 0 and driver.stderr, driver.stderr and driver.stderr.read()
    return {
        "wall s": wall,
        "peak memory of the driver, MB": most,
        "processor s of the driver": cpu,
        **_from_ledgers(place, wall),
    }


def _from_ledgers(place: Path, wall: float) -> dict[str, float]:
    runs = [RunResult.read(path.parent) for path in place.glob(f"*/{LEDGER}")]
    inside = sum(run.rows[-1]["time"] - run.rows[0]["time"] for run in runs)
    span = max(r.rows[-1]["time"] for r in runs) - min(r.rows[0]["time"] for r in runs)
    sizes = [(run.folder / LEDGER).stat().st_size for run in runs]
    files = [path.stat().st_size for path in place.rglob("*") if path.is_file()]
    return {
        "trials": float(len(runs)),
        "trials a second, first start to last end": len(runs) / span,
        "share of the nodes' time inside trainings": inside / _NODES / span,
        "s before the first and after the last trial": wall - span,
        "rows a trial": sum(len(run.rows) for run in runs) / len(runs),
        "KB of a ledger": sum(sizes) / len(sizes) / 1e3,
        "files": float(len(files)),
        "MB on disk": sum(files) / 1e6,
    }


def _peak_mb(pid: int) -> float:
    return _status(pid, "VmHWM") / 1e3


def _status(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith(name)), 0.0)


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(json.dumps(figures(int(sys.argv[1])), indent=2))
