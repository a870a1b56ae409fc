"""A command sent to Slurm, as a job that brings its own Ray cluster: its log is followed, and its
exit code comes back."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from casas_ray import paths
from casas_ray.config import Machine
from casas_ray.errors import ClusterError, SettingsError, SetupError, Terminated

Say = Callable[[str], None]

_EVERY_SECONDS = 0.5
_LATE_SECONDS = 5.0
"""What a shared file system may take to show the last lines of a log."""


def batch_command(words: Sequence[str], machine: Machine) -> list[str]:
    """The `sbatch` command for a casas-ray command.

    Raises:
        SettingsError: it is of another kind than Slurm takes.
    """
    script = paths.drawer_file("cluster", ".sbatch", "study")
    if script is None:
        raise SettingsError("cluster/study.sbatch is not there.", hint="install casas-ray again.")
    asked = machine.slurm
    options = [
        f"--partition={asked.partition}",
        f"--nodes={asked.nodes}",
        f"--cpus-per-task={asked.cpus_per_node}",
        f"--time={asked.minutes}",
    ]
    options += [f"--gpus-per-node={asked.gpus_per_node}"] if asked.gpus_per_node else []
    options += [f"--account={asked.account}"] if asked.account else []
    return ["sbatch", "--wait", "--parsable", *options, str(script), *words]


def submit(words: Sequence[str], machine: Machine, pass_on: Say, say: Say) -> int:
    """The exit code of a command that Slurm ran.

    Raises:
        SetupError: there is no Slurm here.
        ClusterError: Slurm does not take the job.
    """
    command = batch_command(words, machine)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise SetupError(
            "there is no sbatch here.", hint="run it on a login node of the Slurm cluster."
        ) from None
    assert process.stdout and process.stderr
    job = process.stdout.readline().decode(errors="replace").strip().partition(";")[0]
    if not job:
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        raise ClusterError(
            f"Slurm takes no such job: {said[-1] if said else 'it does not say why'}",
            hint="sinfo lists its partitions; machine.slurm.* are what is asked for.",
        )
    log = Path(f"casas-ray-{job}.out")
    say(f"job {job}, its log in {log} (stop it with: scancel --batch --signal=TERM {job})")
    try:
        return _followed(process, log, pass_on)
    except (KeyboardInterrupt, Terminated):
        say(f"no longer following job {job}, which goes on; stop it with: scancel {job}")
        raise
    finally:
        process.kill()


def _followed(process: "subprocess.Popen[bytes]", log: Path, pass_on: Say) -> int:
    rest, offset = b"", 0
    ended: float | None = None
    while True:
        code = process.poll()
        with contextlib.suppress(FileNotFoundError), log.open("rb") as stream:
            stream.seek(offset)
            rest += stream.read()
            offset = stream.tell()
        *lines, rest = rest.split(b"\n")
        for line in lines:
            pass_on(line.decode(errors="replace"))
        if code is not None:
            ended = ended or time.monotonic()
            if offset or time.monotonic() - ended > _LATE_SECONDS:
                return code if code >= 0 else 128 - code
        time.sleep(_EVERY_SECONDS)
