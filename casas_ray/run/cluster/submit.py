"""Send a command to a Ray cluster as a job: only what git tracks travels; the exit code comes
back."""

import asyncio
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from casas_ray.config import Machine
from casas_ray.errors import ClusterError, RefusedError, SettingsError
from casas_ray.records.provenance import send_code_state

Say = Callable[[str], None]

_NO_AGENT = "No available agent"
_AGENT_SECONDS = 60.0


def submit(command: Sequence[str], machine: Machine, say: Say) -> int:
    """The exit code of `casas-ray COMMAND` run as a job on the machine's cluster, its log followed.

    Raises:
        SettingsError: the machine has no dashboard address.
        RefusedError: the working directory is not in a git repository.
        ClusterError: the cluster does not answer, refuses us, or lost the job.
    """
    if not machine.dashboard:
        raise SettingsError(
            f"machine '{machine.name}' has no dashboard address.",
            hint="take --machine local-head, or give machine.dashboard=http://HOST:8265",
        )
    logging.getLogger("ray").setLevel(logging.WARNING)
    # Ray lets these override the address that it is given.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    client = _client(machine.dashboard)
    with tempfile.TemporaryDirectory(prefix="casas-ray-job-") as folder:
        count = copy_tracked(Path.cwd(), Path(folder))
        send_code_state(Path(folder))  # the copy is no repository that could be asked
        say(f"sending {count} files that git tracks to {machine.dashboard}")
        if new := _listed(Path.cwd(), "--others", "--exclude-standard"):
            say(f"{len(new)} files that git does not track stay here, {new[0]} among them")
        # Quoted, for the head gives the line to a shell.
        job = _sent(client, shlex.join(["casas-ray", *command]), folder, say)
    say(f"job {job} (stop it with: ray job stop {job} --address {machine.dashboard})")
    asyncio.run(_follow(client, job, say))
    return _exit_code(client, job)


def _sent(client: JobSubmissionClient, entrypoint: str, folder: str, say: Say) -> str:
    """The id of the job; a head that was just started is given time to find its agents."""
    end = time.monotonic() + _AGENT_SECONDS
    while True:
        try:
            return client.submit_job(entrypoint=entrypoint, runtime_env={"working_dir": folder})
        except RuntimeError as error:
            if _NO_AGENT not in str(error):
                raise
            if time.monotonic() > end:
                raise ClusterError(
                    f"the cluster takes no job: {_NO_AGENT.lower()} in {_AGENT_SECONDS:.0f} s.",
                    hint="does another Ray run on that machine? Its agent holds the same port.",
                ) from None
            say("the cluster has no agent ready yet; trying again")
            time.sleep(2.0)


def _client(dashboard: str) -> JobSubmissionClient:
    try:
        return JobSubmissionClient(dashboard)
    except AuthenticationError:
        raise ClusterError(
            f"the cluster at {dashboard} wants its token.",
            hint="put it into ~/.ray/auth_token (mode 0600) or name its file in "
            "RAY_AUTH_TOKEN_PATH, and set RAY_AUTH_MODE=token",
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no Ray dashboard answers at {dashboard}: {str(error).splitlines()[0]}",
            hint="start a head with `ray start --head`, or give another --dashboard",
        ) from None


def copy_tracked(source: Path, target: Path) -> int:
    """How many files git tracks in `source`; each is copied to `target` as it is now.

    Raises:
        RefusedError: the folder is in no git repository, so nobody can say what may travel.
    """
    # Tracked ones only: data, keys and whatever else lies about a checkout must not travel. One
    # that was deleted and not committed is listed all the same.
    present = [name for name in _listed(source, "--cached") if (source / name).is_file()]
    for name in present:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name)
    return len(present)


def _listed(folder: Path, *which: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *which], cwd=folder, capture_output=True, check=False
    )
    if listed.returncode:
        raise RefusedError(
            f"{folder} is not in a git repository, so nothing says what may travel.",
            hint="run submit from your checkout; only files that git tracks are sent.",
        )
    return [name for name in listed.stdout.decode().split("\0") if name]


async def _follow(client: JobSubmissionClient, job: str, say: Say) -> None:
    async for text in client.tail_job_logs(job):
        say(text.rstrip("\n"))


def _exit_code(client: JobSubmissionClient, job: str) -> int:
    # A followed log can drop before the job ends, so the status decides, not the log.
    while not client.get_job_status(job).is_terminal():
        time.sleep(1.0)
    info = client.get_job_info(job)
    if info.driver_exit_code is not None:
        return int(info.driver_exit_code)
    if str(info.status) == "SUCCEEDED":
        return 0
    raise ClusterError(f"job {job} ended as {info.status}: {info.message or 'no reason given'}")
