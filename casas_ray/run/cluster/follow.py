"""A job's log, followed through lost connections to the job's end, and how that was."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from aiohttp import ClientError
from ray.job_submission import JobDetails, JobStatus

from casas_ray.errors import ClusterError
from casas_ray.run.cluster.dashboard import PATIENCE_SECONDS, Dashboard, Say

_LOOK_SECONDS = 5.0
"""A log that is silent for so long: is the cluster still there?"""

_STALE_SECONDS = 60.0
"""A connection that is silent for so long is made anew: one that a network forgot stays silent for
ever, and nobody says so."""

_AGAIN_SECONDS = 1.0
_STOPPED = 143
_CODES = {JobStatus.SUCCEEDED: 0, JobStatus.STOPPED: _STOPPED}


class Follower:
    """Passes a job's log on, line by line and none twice, whatever connections are lost."""

    def __init__(
        self,
        dashboard: Dashboard,
        job: str,
        pass_on: Say,
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._dashboard = dashboard
        self._job = job
        self._pass_on = pass_on
        self._patience = patience
        self._heard = 0
        """Characters of the log, passed on or held in `_rest`."""

        self._rest = ""
        """What came of a line that has not ended yet."""

    def to_the_end(self) -> JobDetails:
        """How the job ended, once its whole log was passed on.

        Raises:
            ClusterError: the cluster did not answer for longer than the patience, or has forgotten
                the job.
        """
        while True:
            asyncio.run(self._one_connection())
            info = self._looked()
            if info.status.is_terminal():
                self._pass_on_what_is_left()
                return info
            time.sleep(_AGAIN_SECONDS)

    def _looked(self) -> JobDetails:
        return self._dashboard.job(self._job, patience=self._patience)

    async def _one_connection(self) -> None:
        """Pass on what comes until the connection ends, is lost or goes stale."""
        # Whoever connects is sent the log from its beginning.
        known, came = self._heard, 0
        log = self._dashboard.client.tail_job_logs(self._job)
        # Its state decides how the job ended, not its log, nor how that broke off.
        with contextlib.suppress(OSError, RuntimeError, ClientError, asyncio.TimeoutError):
            async for text in self._watched(log):
                came += len(text)
                if came > known:
                    self._take(text[-(came - known) :])
                    known = came

    async def _watched(self, log: AsyncIterator[str]) -> AsyncIterator[str]:
        """The pieces of a log; it ends when the job has, and when the connection is stale."""
        while True:
            piece = asyncio.ensure_future(anext(log))
            try:
                if not await self._comes(piece):
                    return
                yield piece.result()
            except StopAsyncIteration:
                return
            finally:
                piece.cancel()
                with contextlib.suppress(BaseException):
                    await piece

    async def _comes(self, piece: "asyncio.Future[str]") -> bool:
        began = time.monotonic()
        while not (await asyncio.wait({piece}, timeout=_LOOK_SECONDS))[0]:
            is_stale = time.monotonic() - began > _STALE_SECONDS
            if self._looked().status.is_terminal() or is_stale:
                return False
        return True

    def _take(self, text: str) -> None:
        self._heard += len(text)
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._pass_on("\n".join(lines))

    def _pass_on_what_is_left(self) -> None:
        dashboard, job = self._dashboard, self._job
        whole = dashboard.ask(lambda: dashboard.client.get_job_logs(job), patience=self._patience)
        self._take(whole[self._heard :])
        if self._rest:
            self._pass_on(self._rest)


def exit_code(job: JobDetails) -> int:
    """The exit code of a job that has ended.

    Raises:
        ClusterError: it ended by no doing of its own, as with its node.
    """
    if job.driver_exit_code is not None:
        code = int(job.driver_exit_code)
        # The system keeps a byte: 256 would be success.
        return code if 0 <= code < 256 else 1
    if job.status in _CODES:
        return _CODES[job.status]
    raise ClusterError(
        f"job {job.submission_id} ended as {job.status.value}: {job.message or 'no reason given'}",
        hint="the same command goes on from the last checkpoints.",
    )
