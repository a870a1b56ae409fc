"""Send a command to a Ray cluster as a job: only what git tracks travels; the exit code comes
back."""

import asyncio
import logging
import os
import shlex
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from aiohttp import ClientError
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from casas_ray.config import Machine
from casas_ray.errors import (
    CasasError,
    ClusterError,
    RefusedError,
    SettingsError,
    Terminated,
    first_line,
)
from casas_ray.files import why
from casas_ray.records.provenance import send_code_state
from casas_ray.records.travel import git, travellers
from casas_ray.run.reach import in_time

Say = Callable[[str], None]

_NO_AGENT = "No available agent"
_AGENT_SECONDS = 60.0
_STOPPED = 143
_STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"
_STOP_SECONDS = 30
"""From the signal that stops a job to its death: Ray's own 3 s are too few for a checkpoint."""

_ANSWER_SECONDS = 5.0


def submit(command: Sequence[str], machine: Machine, say: Say) -> int:
    """The exit code of `casas-ray COMMAND` run as a job on the machine's cluster, its log followed.

    Raises:
        SettingsError: the machine has no dashboard address.
        RefusedError: as `copy_tracked` does.
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
    with _trusting_no_answer(machine.dashboard):
        return _run(command, machine, say)


def _run(command: Sequence[str], machine: Machine, say: Say) -> int:
    client = _client(machine.dashboard)
    with tempfile.TemporaryDirectory(prefix="casas-ray-job-") as folder:
        count = copy_tracked(Path.cwd(), Path(folder))
        send_code_state(Path(folder))  # the copy is no repository that could be asked
        say(f"sending {count} files that git tracks to {machine.dashboard}")
        new = (git("ls-files", "-z", "--others", "--exclude-standard") or "").split("\0")[:-1]
        if new:
            say(f"{len(new)} files that git does not track stay here, {new[0]} among them")
        # Quoted, for the head gives the line to a shell.
        job = _sent(client, shlex.join(["casas-ray", *command]), folder, say)
    stop = f"ray job stop {job} --address {machine.dashboard}"
    say(f"job {job} (stop it with: {stop})")
    try:
        asyncio.run(_follow(client, job, say))
        return _exit_code(client, job)
    except (KeyboardInterrupt, Terminated):
        say(f"no longer following job {job}, which goes on; stop it with: {stop}")
        raise
    except OSError as error:
        raise _unreachable(machine.dashboard, f"job {job} may go on, but {why(error)}") from None


@contextmanager
def _trusting_no_answer(dashboard: str) -> Iterator[None]:
    """Say in one line that a dashboard's answer is none that Ray's gives."""
    try:
        yield
    except CasasError:
        raise
    # Anything at all: Ray's client indexes whatever JSON comes, and raises as that does.
    except Exception as error:
        raise ClusterError(
            f"what answers at {dashboard} is no Ray dashboard, or one that fails: "
            f"{type(error).__name__}: {first_line(error)}",
            hint="check the address and the head's logs; --debug shows where it failed.",
        ) from error


def _sent(client: JobSubmissionClient, entrypoint: str, folder: str, say: Say) -> str:
    """The id of the job; a head that was just started is given time to find its agents."""
    end = time.monotonic() + _AGENT_SECONDS
    environment = {"working_dir": folder, "env_vars": {_STOP_WAIT: str(_STOP_SECONDS)}}
    while True:
        try:
            return client.submit_job(entrypoint=entrypoint, runtime_env=environment)
        except RuntimeError as error:
            if _NO_AGENT not in str(error):
                raise
            if time.monotonic() > end:
                raise ClusterError(
                    f"the cluster takes no job: {_NO_AGENT.lower()} in {_AGENT_SECONDS:.0f} s.",
                    hint="another Ray on that machine may hold the port: start the head with "
                    "`ray start --head --dashboard-agent-listen-port=52366`, or another free one.",
                ) from None
            say("the cluster has no agent ready yet; trying again")
            time.sleep(2.0)


def _client(dashboard: str) -> JobSubmissionClient:
    try:
        in_time(lambda: _knock(dashboard), seconds=2 * _ANSWER_SECONDS)
        return JobSubmissionClient(dashboard)
    except AuthenticationError:
        raise ClusterError(
            f"the cluster at {dashboard} wants its token.",
            hint="put it into ~/.ray/auth_token (mode 0600) or name its file in "
            "RAY_AUTH_TOKEN_PATH, and set RAY_AUTH_MODE=token",
        ) from None
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        raise _unreachable(dashboard, why(error)) from None


def _knock(dashboard: str) -> None:
    """Nothing, when somebody answers at an address; Ray's client would wait for that for ever.

    Raises:
        OSError, HTTPException, ValueError: nobody does, or it is no address.
    """
    address = dashboard if "://" in dashboard else f"http://{dashboard}"
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("wanted an address such as http://127.0.0.1:8265")
    version = f"{address.rstrip('/')}/api/version"
    try:
        with urllib.request.urlopen(version, timeout=_ANSWER_SECONDS):
            pass
    except urllib.error.HTTPError:
        pass  # somebody: whether it is Ray, and will have us, its client finds out
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from None


def _unreachable(dashboard: str, reason: str) -> ClusterError:
    return ClusterError(
        f"no Ray dashboard answers at machine.dashboard={dashboard}: {reason}",
        hint="start a head with `ray start --head`, or give another --dashboard",
    )


def copy_tracked(source: Path, target: Path) -> int:
    """How many files git tracks in `source`; each is copied to `target` as it is now.

    Raises:
        RefusedError: the folder is in no git repository, so nobody can say what may travel; or git
            tracks a key, or a link to what it does not track.
    """
    # Tracked ones only: data, keys and whatever else lies about a checkout must not travel.
    found = travellers(source)
    if found is None:
        raise RefusedError(
            f"{source} is not in a git repository, so nothing says what may travel.",
            hint="run submit from your checkout; only files that git tracks are sent.",
        )
    if found.keys:
        raise RefusedError(
            f"git tracks what looks like keys: {', '.join(found.keys)}.",
            hint="a job's files are on every node: keys belong there already. `git rm --cached` "
            "takes a file out of what git tracks, and leaves it on the disk.",
        )
    if found.links_out:
        raise RefusedError(
            f"git tracks links to files that it does not track: {', '.join(found.links_out)}.",
            hint="what they lead to would be sent; track the files themselves, or no link.",
        )
    for name in found.free:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name)
    return len(found.free)


async def _follow(client: JobSubmissionClient, job: str, say: Say) -> None:
    try:
        async for text in client.tail_job_logs(job):
            say(text.rstrip("\n"))
    except (OSError, RuntimeError, ClientError) as error:  # its status decides, not its log
        say(f"the job's log cannot be followed further: {first_line(error)}")


def _exit_code(client: JobSubmissionClient, job: str) -> int:
    # A followed log can drop before the job ends, so the status decides, not the log.
    while not client.get_job_status(job).is_terminal():
        time.sleep(1.0)
    info = client.get_job_info(job)
    if info.driver_exit_code is not None:
        code = int(info.driver_exit_code)
        # The system keeps a byte: 256 would be success.
        return code if 0 <= code < 256 else 1
    ends = {"SUCCEEDED": 0, "STOPPED": _STOPPED}
    if str(info.status) in ends:
        return ends[str(info.status)]
    raise ClusterError(f"job {job} ended as {info.status}: {info.message or 'no reason given'}")
