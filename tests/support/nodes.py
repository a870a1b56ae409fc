"""Real Ray nodes on this machine that share no disk: each further one has a mount namespace of its
own, in which nothing lies where the test session's files are."""

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.waiting import wait_until

_RAY = Path(sys.executable).with_name("ray")
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}


@dataclass(frozen=True)
class Nodes:
    """A cluster: the addresses of its control service and its dashboard, and the processes of its
    nodes' families."""

    address: str
    dashboard: str
    heads: list[subprocess.Popen]
    hidden: Path
    """The folder in whose place all nodes but the first have an empty one."""

    def mounts_of(self, node: int) -> str:
        """The mount namespace of a node; the first is this session's own."""
        return str(Path(f"/proc/{self.heads[node].pid}/ns/mnt").readlink())

    def files_of(self, node: int) -> list[str]:
        """What somebody wrote, on a node, into the folder that was empty there."""
        look = ["nsenter", "--target", str(self.heads[node].pid), "--mount", "find"]
        found = subprocess.run(
            [*look, str(self.hidden), "-mindepth", "1"], capture_output=True, text=True, check=True
        )
        return found.stdout.splitlines()

    def kill(self, node: int) -> None:
        """Kill all processes of a node at once, as when its power fails."""
        head = self.heads[node]
        for process in _of_session(head.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        head.wait(timeout=60)


def _of_session(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name before the last bracket may hold anything.
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                found.append(int(stat.parent.name))
    return found


def mounts_of(process: int) -> str:
    """The mount namespace of a process."""
    return str(Path(f"/proc/{process}/ns/mnt").readlink())


@contextlib.contextmanager
def apart(hidden: Path, environment: Mapping[str, str], *cpus: int) -> Iterator[Nodes]:
    """A cluster of nodes with so many CPUs each, of which all but the first see an empty folder in
    place of `hidden`."""
    if os.getuid() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("only root may give a node mounts of its own, and not everywhere")
    folder = Path(tempfile.mkdtemp(prefix="casas-ray-"))  # short: Unix sockets have short names
    port, dashboard = free_ports(2)
    nodes = Nodes(f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", [], hidden)
    words = ["--head", f"--port={port}", f"--temp-dir={folder}", "--node-ip-address=127.0.0.1"]
    words += [f"--dashboard-port={dashboard}", f"--num-cpus={cpus[0]}"]
    env = {**os.environ, **environment, **_QUIET}
    try:
        with (folder / "nodes.log").open("w") as log:
            nodes.heads.append(_started([str(_RAY), "start", "--block", *words], env, log))
            wait_until(lambda: answers(port), process=nodes.heads[0])
            # One after another: two that start at once on a host take one address, and one dies.
            for index, count in enumerate(cpus[1:], start=2):
                nodes.heads.append(_started(_apart(nodes, index, count), env, log))
                try:
                    wait_until(
                        lambda index=index: _count(nodes.address, env) == index,
                        process=nodes.heads[-1],
                    )
                except AssertionError as error:
                    error.add_note((folder / "nodes.log").read_text()[-4000:])
                    raise
        yield nodes
    finally:
        for node in range(len(nodes.heads)):
            nodes.kill(node)  # a graceful end takes half a minute
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(socket.socket()) for _ in range(count)]
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [holder.getsockname()[1] for holder in holders]


def _apart(nodes: Nodes, index: int, cpus: int) -> list[str]:
    (agent,) = free_ports(1)
    first_port = 20_000 + 1_000 * index
    words = [str(_RAY), "start", "--block", f"--address={nodes.address}", f"--num-cpus={cpus}"]
    # Otherwise nodes of one host would take each other's ports and, by the address, disks.
    words += [f"--node-ip-address=127.0.0.{index}", f"--dashboard-agent-listen-port={agent}"]
    words += [f"--min-worker-port={first_port}", f"--max-worker-port={first_port + 999}"]
    hide = ["mount", "-t", "tmpfs", "tmpfs", str(nodes.hidden)]
    return ["unshare", "-m", "bash", "-c", f"{shlex.join(hide)} && exec {shlex.join(words)}"]


def _started(words: list[str], env: Mapping[str, str], log: object) -> subprocess.Popen:
    return subprocess.Popen(words, env=env, stdout=log, stderr=log, start_new_session=True)


def answers(port: int) -> bool:
    """Whether somebody listens at a port of loopback."""
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _count(address: str, env: Mapping[str, str]) -> int:
    """How many nodes a cluster has, asked by another process: this one joins no Ray here."""
    code = "import ray, sys; print(len(ray._raylet.GcsClient(sys.argv[1]).get_all_node_info()))"
    asked = subprocess.run(
        [sys.executable, "-c", code, address], env=env, capture_output=True, text=True, check=False
    )
    return int(asked.stdout) if asked.returncode == 0 else 0
