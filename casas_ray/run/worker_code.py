"""Where workers import from: this very package and what is installed, never the current folder."""

import subprocess
import sys
from pathlib import Path

from ray.job_config import JobConfig

_PACKAGE = "casas_ray"
_ROOT = Path(__file__).resolve().parents[2]
_FIND = f"import importlib.util as u; s = u.find_spec({_PACKAGE!r}); print(s.origin if s else '')"


class OwnCode(JobConfig):
    """A job whose workers get the search path that is ours to give, and no other.

    Ray adds the driver's current folder and its script's, both before site-packages: a `pyarrow.py`
    that lies in either would be run in every worker.
    """

    def _serialize(self) -> str:
        # Asked for once, after Ray has added what it wants.
        self._py_driver_sys_path = [] if self._has_working_dir() else paths_for_workers()
        self._cached_pb = None
        return super()._serialize()

    def _has_working_dir(self) -> bool:
        # A Ray job's copy of the code, which its workers have on their path already.
        return self._runtime_env_has_working_dir()


def paths_for_workers() -> list[str]:
    """What a worker must search first to import this very package: nothing where it is installed,
    and else its checkout."""
    found = subprocess.run(
        # -P: without the current folder, which no worker has.
        [sys.executable, "-P", "-c", _FIND],
        capture_output=True,
        text=True,
        check=False,
    )
    origin = found.stdout.strip()
    is_ours = bool(origin) and Path(origin).resolve().parents[1] == _ROOT
    return [] if is_ours else [str(_ROOT)]
