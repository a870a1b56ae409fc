"""Jobs on a cluster: started, followed, listed and stopped."""

import time
from pathlib import Path

from ray.job_submission import JobDetails

from casas_ray.errors import ClusterError, Terminated, first_line
from casas_ray.run.cluster.dashboard import Dashboard, Say
from casas_ray.run.cluster.follow import Follower, exit_code
from casas_ray.run.cluster.order import ENVIRONMENT

ERRAND = "errand-"
"""What the names of our own questions to a cluster begin with."""

_NO_AGENT = "No available agent"
_AGENT_SECONDS = 60.0
_AGAIN_SECONDS = 2.0


def start(dashboard: Dashboard, name: str, entrypoint: str, archive: Path, say: Say) -> None:
    """Start a job in a copy of what an archive holds; a head that was just started is given time to
    find its agents.

    Raises:
        ClusterError: the cluster does not answer, or takes no job.
    """
    end = time.monotonic() + _AGENT_SECONDS
    environment = {"working_dir": str(archive), "env_vars": dict(ENVIRONMENT)}
    while True:
        try:
            dashboard.send(
                lambda: dashboard.client.submit_job(
                    entrypoint=entrypoint, submission_id=name, runtime_env=environment
                )
            )
            return
        except RuntimeError as error:
            if _NO_AGENT not in str(error):
                raise ClusterError(
                    f"the cluster at {dashboard.address} takes no job: {first_line(error)}",
                    hint="its logs say more: dashboard.log and runtime_env_agent.log on the head.",
                ) from None
            if time.monotonic() > end:
                raise ClusterError(
                    f"the cluster takes no job: {_NO_AGENT.lower()} in {_AGENT_SECONDS:.0f} s.",
                    hint="another Ray on that machine may hold the port: start the head with "
                    "`ray start --head --dashboard-agent-listen-port=52366`, or another free one.",
                ) from None
            say("the cluster has no agent ready yet; trying again")
            time.sleep(_AGAIN_SECONDS)


def attach(dashboard: Dashboard, job: str, pass_on: Say, say: Say, *, patience: float) -> int:
    """The exit code of a job, its log followed from the beginning to the end.

    Raises:
        ClusterError: the cluster does not answer for longer than the patience, or lost the job.
    """
    name = real_name(dashboard, job)
    try:
        return exit_code(Follower(dashboard, name, pass_on, patience=patience).to_the_end())
    except (KeyboardInterrupt, Terminated):
        say(
            f"no longer following job {job}, which goes on; follow it again with: "
            f"casas-ray attach {job}; stop it with: casas-ray stop {job}"
        )
        raise


def real_name(dashboard: Dashboard, job: str) -> str:
    """The name of a job that is known there.

    Raises:
        ClusterError: there is none.
    """
    details = dashboard.job(job)
    return details.submission_id or job


def jobs(dashboard: Dashboard) -> list[JobDetails]:
    """Every job that somebody submitted, the newest last."""
    found = dashboard.ask(dashboard.client.list_jobs)
    # One that was deleted is still listed where it had joined Ray, without its command.
    submitted = [
        job for job in found if job.submission_id and not job.submission_id.startswith(ERRAND)
    ]
    return sorted(submitted, key=lambda job: job.start_time or 0)


def log_of(dashboard: Dashboard, job: str) -> str:
    """All that a job has said so far.

    Raises:
        ClusterError: the cluster does not answer, or knows of no such job.
    """
    name = real_name(dashboard, job)
    return dashboard.ask(lambda: dashboard.client.get_job_logs(name))


def stop(dashboard: Dashboard, job: str, *, patience: float) -> tuple[JobDetails, bool]:
    """How a job ended that was asked to stop, and whether it was still at work then.

    Raises:
        ClusterError: the cluster does not answer, or knows of no such job.
    """
    name = real_name(dashboard, job)
    was_running = bool(dashboard.ask(lambda: dashboard.client.stop_job(name)))
    while not (details := dashboard.job(name, patience=patience)).status.is_terminal():
        time.sleep(_AGAIN_SECONDS / 4)
    return details, was_running
