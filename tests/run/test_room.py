"""Which priority a process of Ray has."""

import os
import subprocess
import sys

_CODE = """
import os, threading
from pathlib import Path
from casas_ray.run.room import take_niceness
os.nice(9)
threading.Thread(target=threading.Event().wait, daemon=True).start()
take_niceness(NICENESS)
threads = [int(path.name) for path in Path('/proc/self/task').iterdir()]
print(len(threads) > 1, {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads})
"""


def after(niceness: int) -> str:
    code = _CODE.replace("NICENESS", str(niceness))
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def test_all_threads_take_the_niceness_that_the_system_lets_them():
    here = os.nice(0)
    assert after(here + 12) == f"True {{{here + 12}}}"
    lower = here + 2 if os.getuid() == 0 else here + 9
    assert after(here + 2) == f"True {{{lower}}}"
