"""A Ray that is started here: whom it joins, what it listens on, what its workers import."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLUSTER_FILE = Path("/tmp/ray/ray_current_cluster")  # where Ray looks, whatever TMPDIR says
PROBE = """
import json, os, stat, sys
from casas_ray.config import Machine
from casas_ray.run.environment import prepare_environment
machine = Machine(workers=int(sys.argv[1]))
prepare_environment(machine)
from casas_ray.run.listening import open_ports
from casas_ray.run.session import session
with session(machine):
    import ray
    @ray.remote
    def where():
        import sys
        import casas_ray, numpy, pyarrow
        files = [module.__file__ for module in (casas_ray, numpy, pyarrow)]
        return {"path": sys.path, "files": files, "cwd": os.getcwd()}
    said = ray.get(where.remote())
    said["ports"] = open_ports()
    session_folder = ray._private.worker._global_node.get_session_dir_path()
    folder = os.path.dirname(os.path.dirname(session_folder))
    said["folder"], said["mode"] = folder, stat.S_IMODE(os.stat(folder).st_mode)
said["left"] = os.path.exists(folder)
said["safe_path"] = os.environ.get("PYTHONSAFEPATH")
print(json.dumps(said))
"""


@contextmanager
def fake_cluster() -> Iterator[tuple[int, list[bytes]]]:
    """A server that writes down what it is told, and its port."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.settimeout(1.0)
                heard.append(b"connected")
                try:
                    heard.append(client.recv(1 << 16))
                except OSError:
                    continue

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield server.getsockname()[1], heard
    finally:
        server.close()


@contextmanager
def planted(path: Path, content: str) -> Iterator[None]:
    """A file with this content, and what was there before when the block ends."""
    path.parent.mkdir(exist_ok=True)
    before = path.read_text() if path.exists() else None
    path.write_text(content)
    try:
        yield
    finally:
        path.write_text(before) if before is not None else path.unlink(missing_ok=True)


def probe(folder: Path, workers: int, **environment: str) -> dict:
    settings = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    settings |= {"PYTHONPATH": str(ROOT), **environment}
    script = folder.parent / "probe.py"
    script.write_text(PROBE)
    # The script's own folder is no part of this: -P.
    ended = subprocess.run(
        [sys.executable, "-P", str(script), str(workers)],
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("workers", [1, 2])  # with two, Ray's dashboard is started too
def test_a_ray_started_here_joins_nobody_is_heard_by_nobody_and_imports_nothing_of_here(
    tmp_path: Path, workers: int
):
    here, pwned = tmp_path / "here", tmp_path / "pwned"
    (here / "ray").mkdir(parents=True)
    trap = f"open({str(pwned)!r}, 'a').write(__name__)\n"
    for name in ("pyarrow.py", "numpy.py", "aiohttp.py", "ray/__init__.py"):
        (here / name).write_text(trap)
    with fake_cluster() as (port, heard), planted(CLUSTER_FILE, f"127.0.0.1:{port}"):
        said = probe(here, workers)
    assert heard == []
    assert said["ports"] in ([], None)
    assert not pwned.exists()
    assert str(here) not in said["path"]
    assert said["cwd"] == str(here)  # relative paths mean what they mean to the driver
    assert said["files"][0] == str(ROOT / "casas_ray" / "__init__.py")
    assert not any(str(here) in file for file in said["files"])
    assert said["mode"] == 0o700
    assert said["left"] is False
    assert said["safe_path"] is None


def test_workers_import_the_package_of_their_driver_where_it_is_not_installed(tmp_path: Path):
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "copy").mkdir()
    copy = Path(tempfile.mkdtemp(dir=tmp_path / "copy"))
    (copy / "casas_ray").symlink_to(ROOT / "casas_ray")
    code = "from casas_ray.run.worker_code import paths_for_workers as p; print(p())"
    command = [sys.executable, "-P", "-c"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    installed = subprocess.run(
        [*command, code], env=settings, capture_output=True, text=True, check=True, cwd=here
    )
    assert installed.stdout.splitlines()[-1] == "[]"
    settings["PYTHONPATH"] = str(here)
    added = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import casas_ray; {code}"
    checkout = subprocess.run(
        [*command, added], env=settings, capture_output=True, text=True, check=True, cwd=here
    )
    assert checkout.stdout.splitlines()[-1] in (str([str(ROOT)]), "[]")  # [] where it is installed
