"""`python -m casas_ray`, for where the script is not on the PATH."""

import sys
from pathlib import Path

# Python has put the current folder first: a `pyarrow.py` that lies in it would be run as ours.
if not sys.flags.safe_path and sys.path and Path(sys.path[0]).resolve() == Path.cwd():
    del sys.path[0]

from casas_ray.cli import main

main()
