"""A small job of ours on the cluster, whose answer comes back as JSON in its log."""

import secrets
import shlex
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from casas_ray.errors import (
    CasasError,
    ClusterError,
    DataError,
    RefusedError,
    SettingsError,
    SetupError,
)
from casas_ray.run.cluster.answer import COMMAND, REFUSED, Answer, answer_in
from casas_ray.run.cluster.dashboard import Dashboard
from casas_ray.run.cluster.job import ERRAND, start

_EVERY_SECONDS = 0.2
_SECONDS = 120.0
_NO_COMMAND = (126, 127)
_KINDS = {
    kind.exit_code: kind
    for kind in (SettingsError, DataError, SetupError, ClusterError, RefusedError)
}


@dataclass(frozen=True)
class Asked:
    """An errand that has answered."""

    answer: Answer
    node: str
    """The id of the node that it runs, or ran, on."""


def ask(dashboard: Dashboard, words: Sequence[str], *, archive: Path | None = None) -> Answer:
    """What `casas-ray at-cluster WORDS` answers on the cluster, in a copy of what an archive holds.

    Raises:
        ClusterError: it does not answer in time, or the cluster has no such casas-ray.
        CasasError: what it refused, as it said it.
    """
    with waiting_at(dashboard, words, archive=archive) as asked:
        return asked.answer


@contextmanager
def waiting_at(
    dashboard: Dashboard, words: Sequence[str], *, archive: Path | None = None
) -> Iterator[Asked]:
    """As `ask`, of an errand that may wait at the cluster; it is ended after the block."""
    job = f"{ERRAND}{words[0]}-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix="casas-ray-errand-") as folder:
        code = archive or _nothing(Path(folder) / "nothing.zip")
        start(dashboard, job, shlex.join(["casas-ray", COMMAND, *words]), code, lambda _: None)
    try:
        yield _answered(dashboard, job)
    finally:
        _end(dashboard, job)


def _nothing(path: Path) -> Path:
    # Not without an archive: then the job would work in the head's own folder, and its data too.
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(zipfile.ZipInfo("nothing"), b"")
    return path


def _answered(dashboard: Dashboard, job: str) -> Asked:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        details = dashboard.job(job)
        log = dashboard.ask(lambda: dashboard.client.get_job_logs(job))
        if (answer := answer_in(log)) is not None:
            _raise_refusal(answer)
            return Asked(answer, details.driver_node_id or "")
        if details.status.is_terminal():
            raise _mute(dashboard, details.driver_exit_code, details.message or "", log)
        time.sleep(_EVERY_SECONDS)
    raise ClusterError(
        f"the cluster at {dashboard.address} did not answer {job} in {_SECONDS:.0f} s.",
        hint="`casas-ray jobs` lists what it is at; a full head answers late.",
    )


def _raise_refusal(answer: Answer) -> None:
    if REFUSED in answer:
        kind = _KINDS.get(answer[REFUSED], ClusterError)
        raise kind(f"on the cluster: {answer['problem']}", hint=str(answer.get("hint", "")))


def _mute(dashboard: Dashboard, code: int | None, message: str, log: str) -> ClusterError:
    if code in _NO_COMMAND:
        return ClusterError(
            f"the cluster at {dashboard.address} has no casas-ray command.",
            hint="install this version on its nodes: pip install casas-ray, or an image as of "
            "cluster/Dockerfile.",
        )
    if code == SettingsError.exit_code:
        return ClusterError(
            f"the casas-ray of the cluster at {dashboard.address} is another version.",
            hint="install the version of this machine on its nodes.",
        )
    last = (log.strip().splitlines() or [message or "it said nothing"])[-1]
    return ClusterError(
        f"the cluster at {dashboard.address} could not be asked: {last[:300]}",
        hint="`casas-ray doctor`, run on the head, says what it lacks.",
    )


def _end(dashboard: Dashboard, job: str) -> None:
    client = dashboard.client
    with suppress(CasasError, RuntimeError):
        dashboard.ask(lambda: client.stop_job(job))
        end = time.monotonic() + 10.0
        while not dashboard.job(job).status.is_terminal() and time.monotonic() < end:
            time.sleep(_EVERY_SECONDS)
        # Its log is no longer of use to anybody who lists jobs.
        dashboard.ask(lambda: client.delete_job(job))
