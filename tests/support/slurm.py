"""A real Slurm of this machine, with a controller and nodes of its own, where it is installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.nodes import free_ports
from support.waiting import wait_until

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_SBIN = "/usr/sbin"


@contextlib.contextmanager
def slurm(nodes: int, cpus: int) -> Iterator[dict[str, str]]:
    """The environment of commands that speak to a Slurm of so many nodes with so many CPUs each."""
    path = f"{os.environ['PATH']}:{_SBIN}"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    if missing or os.getuid():
        pytest.skip(f"no Slurm here: {', '.join(missing) or 'its daemons want root'}")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    daemons: list[subprocess.Popen] = []
    env = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    try:
        _configure(folder, nodes, cpus)
        with (folder / "daemons.log").open("w") as log:

            def start(*words: str) -> None:
                daemons.append(subprocess.Popen(words, env=env, stdout=log, stderr=log))

            socket_path = folder / "munge.socket"
            files = [
                f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")
            ]
            start("munged", "--foreground", "--force", f"--socket={socket_path}", *files)
            wait_until(socket_path.exists, process=daemons[0])
            start("slurmctld", "-D")
            for index in range(nodes):
                start("slurmd", "-D", "-N", f"n{index + 1}")
            wait_until(lambda: _idle(env) == nodes)
        yield env
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _idle(env: dict[str, str]) -> int:
    asked = ["sinfo", "--noheader", "--Node", "--states=idle", "--format=%N"]
    told = subprocess.run(asked, env=env, capture_output=True, text=True, check=False)
    return len(told.stdout.split())


def _configure(folder: Path, nodes: int, cpus: int) -> None:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    controller, *ports = free_ports(nodes + 1)
    host = socket.gethostname()
    lines = [
        "ClusterName=tests",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={controller}",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder}/munge.socket",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool.%n",
        f"SlurmctldPidFile={folder}/controller.pid",
        f"SlurmdPidFile={folder}/%n.pid",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SwitchType=switch/none",
        "MpiDefault=none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "ReturnToService=2",
        "SlurmdParameters=config_overrides",  # nodes may say that they have more than the machine
        "KillWait=30",
        "InactiveLimit=0",
    ]
    lines += [
        f"NodeName=n{index + 1} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus}"
        for index, port in enumerate(ports)
    ]
    lines.append("PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP")
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
    (folder / "state").mkdir()
