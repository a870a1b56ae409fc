"""The page of a long home's clusters: how long it takes, and how large it is."""

import json
import subprocess
import sys
import time
from pathlib import Path

from casas_ray.config import DataConfig
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare

_DAYS = 118
"""So many simulated days have 50,000 windows of training and validation days."""


def rows() -> list[tuple[str, str]]:
    """Seconds of the command, clusters found anew, and megabytes of its page; SIMULATED."""
    config = DataConfig(simulated=True).replace({"simulate.days": _DAYS})
    prepared = prepare(config, logs_for(config))
    counts = prepared.manifest["windows"]
    command = [sys.executable, "-m", "casas_ray", "map", prepared.folder.name, "--json"]
    start = time.perf_counter()
    ended = subprocess.run(
        [*command, "--layout", "pca"], check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    size = Path(json.loads(ended.stdout)["page"]).stat().st_size / 1e6
    windows = counts["train"] + counts["val"]
    return [(f"{windows:,} windows, 20 clusters", f"{wall:.0f} s, {size:.1f} MB")]
