"""What is shown of jobs: orders, lists of them, and how they ended; made here, printed by the
CLI."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casas_ray.cli.disk_tables import age_of
from casas_ray.cli.fitting import Table
from casas_ray.config import Machine
from casas_ray.files import shown
from casas_ray.names import plain
from casas_ray.run.cluster.order import ENVIRONMENT

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

    from casas_ray.run.cluster.order import Order
    from casas_ray.run.cluster.parcel import Parcel

_MS_PER_SECOND = 1000.0


def parcel(sent: "Parcel") -> list[str]:
    """What travels and what stays, in a line each."""
    lines = [f"{len(sent.names()):,} files that git tracks travel, {sent.bytes / 1e6:.1f} MB"]
    if sent.untracked:
        first = shown(Path(sent.untracked[0]))
        lines.append(
            f"{len(sent.untracked)} files that git does not track stay here, {first} among them"
        )
    if sent.kept_back:
        lines.append(
            f"{len(sent.kept_back)} tracked files stay here as well, {sent.kept_back[0]} among "
            "them: data, or named in .rayignore"
        )
    return lines


def order(sent: "Order", on: Machine) -> list[Table | str]:
    """All that would be sent."""
    about = sent.as_dict(on.dashboard)
    table = Table(title="Nothing was sent; this would be", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("as")
    for what in ("dashboard", "job", "entrypoint"):
        table.add_row(what, str(about[what]) or "none")
    for name, value in ENVIRONMENT.items():
        table.add_row("environment", f"{name}={value}")
    files = Table(title="The files")
    files.add_column("file")
    files.add_column("bytes", justify="right")
    for name, size in sent.parcel.names().items():
        files.add_row(name, f"{size:,}")
    return [table, files, *parcel(sent.parcel)]


def seen(cluster: Mapping[str, Any]) -> str:  # Any: what JSON holds
    """What a cluster has, in a line."""
    nodes = cluster["nodes"]
    cpus, gpus = (sum(float(node[name]) for node in nodes) for name in ("cpus", "gpus"))
    versions = ", ".join(f"{name} {value}" for name, value in nodes[0]["versions"].items())
    storage = f", storage {cluster['storage']} takes files" if cluster["storage"] else ""
    return (
        f"the cluster has {len(nodes)} node(s), {cpus:g} CPUs, {gpus:g} GPUs; {versions}{storage}; "
        f"its data folder is {cluster['data']}"
    )


def job(found: "JobDetails") -> dict[str, object]:
    """A job as JSON can hold it."""
    return {
        "job": found.submission_id,
        "status": found.status.value,
        "exit_code": found.driver_exit_code,
        "command": found.entrypoint,
        "started": _seconds(found.start_time),
        "ended": _seconds(found.end_time),
        "message": found.message or "",
    }


def jobs(found: "Sequence[JobDetails]") -> Table:
    """A row a job."""
    table = Table(title="Jobs")
    table.add_column("job", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for name in ("age", "took"):
        table.add_column(name, justify="right")
    table.add_column("command")
    for each in found:
        table.add_row(
            each.submission_id or "",
            _status(each),
            _age(each),
            _took(each),
            each.entrypoint,
        )
    return table


def how_ended(found: "JobDetails", *, was_running: bool) -> str:
    """How a job ended that was to be stopped, in a line."""
    name, took = plain(found.submission_id or ""), _took(found)
    if was_running and found.driver_exit_code is None:
        return (
            f"job {name} was stopped after {took}; the same command goes on from its checkpoints."
        )
    before = "" if was_running else " before"
    return f"job {name} had ended{before}: {_status(found)}, after {took}."


def _status(found: "JobDetails") -> str:
    status = found.status.value.lower()
    code = found.driver_exit_code
    return status if code in (None, 0) else f"{status}, exit {code}"


def _age(found: "JobDetails") -> str:
    started = _seconds(found.start_time)
    return "-" if started is None else age_of(max(0.0, time.time() - started))


def _took(found: "JobDetails") -> str:
    started, ended = _seconds(found.start_time), _seconds(found.end_time)
    if started is None:
        return "-"
    return age_of(max(0.0, (ended or time.time()) - started))


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / _MS_PER_SECOND
