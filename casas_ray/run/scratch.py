"""Scratch on a node of Ray: in its session folder, and gone when its user is."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ray._private import worker

from casas_ray.files import private_folder

_NAME = "casas-ray"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the session folder of Ray on this node, gone after the block."""
    node = worker._global_node  # no public name tells where Ray's session folder is
    assert node is not None, "Ray is not there"
    parent = Path(node.get_session_dir_path()) / _NAME
    private_folder(parent)
    _clear_of_dead(parent)
    # Ray itself may still be writing into it when it goes.
    with tempfile.TemporaryDirectory(
        prefix=f"{os.getpid()}-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _clear_of_dead(parent: Path) -> None:
    """Delete what killed processes left."""
    for folder in parent.iterdir():
        try:
            os.kill(int(folder.name.partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:  # it lives, as somebody else's
            continue
