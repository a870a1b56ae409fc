"""Real Ray nodes on this machine that share no disk: each further one has a mount namespace of its
own, in which nothing lies where the test session's files are."""

import contextlib
import json
import logging
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
from typing import IO

import pytest

from support.waiting import wait_until

_RAY = Path(sys.executable).with_name("ray")
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}


@dataclass(frozen=True)
class Nodes:
    """A cluster: the addresses of its control service and its dashboard, and the processes of its
    nodes' families."""

    address: str
    heads: list[subprocess.Popen]
    hidden: Path
    """The folder in whose place all nodes but the first have an empty one."""

    dashboard: str
    env: Mapping[str, str]
    log: IO[str]

    def add(self, cpus: int) -> int:
        """The index of one more node, which is there now."""
        index = len(self.heads)
        self.heads.append(_started(_apart(self, index + 1, cpus), self.env, self.log))
        try:
            wait_until(lambda: name_of(index) in self.alive(), process=self.heads[index])
        except AssertionError:
            logging.getLogger(__name__).error(Path(self.log.name).read_text()[-4000:])
            raise
        return index

    def make_up(self, workers: int) -> None:
        """Add nodes of one CPU until so many live besides the first."""
        # Not by Ray's list alone: it has a node that was killed for some seconds more.
        alive = self.alive()
        there = [node for node in range(1, len(self.heads)) if self._lives(node, alive)]
        for _ in range(workers - len(there)):
            self.add(1)

    def _lives(self, node: int, alive: Mapping[str, str]) -> bool:
        return name_of(node) in alive and self.heads[node].poll() is None

    def alive(self) -> dict[str, str]:
        """The ids of the living nodes, by their names."""
        return _alive(self.address, self.env)

    def drain(self, node: int) -> None:
        """Tell Ray that a node is to go within a minute, as a cloud does with a spot machine."""
        words = [
            "drain-node",
            f"--address={self.address}",
            f"--node-id={self.alive()[name_of(node)]}",
        ]
        words += ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot"]
        words += ["--deadline-remaining-seconds=60"]
        subprocess.run([str(_RAY), *words], env=dict(self.env), check=True, capture_output=True)

    def node_of(self, process: int) -> int:
        """The node that a process lies on."""
        found = [node for node in range(len(self.heads)) if self._has(node, process)]
        (node,) = found
        return node

    def _has(self, node: int, process: int) -> bool:
        return process in _of_session(self.heads[node].pid)

    def kill_raylet(self, node: int) -> None:
        """Kill a node's daemon, and nothing else of it."""
        for process in _of_session(self.heads[node].pid):
            if b"raylet/raylet" in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0]:
                os.kill(process, signal.SIGKILL)

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


def name_of(node: int) -> str:
    """What Ray calls it."""
    return f"node-{node}"


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
    port, dashboard, agent = free_ports(3)
    words = ["--head", f"--port={port}", f"--temp-dir={folder}", "--node-ip-address=127.0.0.1"]
    words += [
        f"--dashboard-agent-listen-port={agent}",
        f"--dashboard-port={dashboard}",
        f"--num-cpus={cpus[0]}",
        f"--node-name={name_of(0)}",
    ]
    env = {**os.environ, **environment, **_QUIET}
    env["PATH"] = f"{_RAY.parent}:{env['PATH']}"  # for jobs, which start as `casas-ray`
    nodes = None
    try:
        with (folder / "nodes.log").open("w") as log:
            served = f"http://127.0.0.1:{dashboard}"
            nodes = Nodes(f"127.0.0.1:{port}", [], hidden, served, env, log)
            nodes.heads.append(_started([str(_RAY), "start", "--block", *words], env, log))
            wait_until(lambda: answers(port), process=nodes.heads[0])
            # One that comes before the first is on the cluster's list gives up.
            wait_until(lambda: len(nodes.alive()) == 1, process=nodes.heads[0])
            for count in cpus[1:]:
                nodes.add(count)
            yield nodes
    finally:
        for node in range(len(nodes.heads) if nodes else 0):
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
    words += [f"--node-name={name_of(index - 1)}"]
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


def _alive(address: str, env: Mapping[str, str]) -> dict[str, str]:
    """The ids of a cluster's living nodes by name, asked by another process: this one joins no
    Ray here."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, address], env=env, capture_output=True, text=True, check=False
    )
    return json.loads(asked.stdout) if asked.returncode == 0 else {}


_ASK = """
import json, sys, ray
found = ray._raylet.GcsClient(sys.argv[1]).get_all_node_info()
alive = {node.node_name: key.hex() for key, node in found.items() if node.state == 0}
print(json.dumps(alive))
"""
