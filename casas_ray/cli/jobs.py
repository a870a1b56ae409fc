"""Commands about jobs on a cluster: submit, jobs, logs, attach, stop."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.catalog import find_machine
from casas_ray.cli import completion, job_tables
from casas_ray.cli.app import AsJson, OnMachine, command
from casas_ray.cli.console import out, pass_on, print_json, say, waiting
from casas_ray.cli.sent_words import for_machine
from casas_ray.config import Machine

if TYPE_CHECKING:
    from casas_ray.run.cluster.dashboard import Dashboard
    from casas_ray.run.cluster.order import Order

AtDashboard = Annotated[str, typer.Option(help="The cluster's dashboard, http://HOST:8265.")]
OnCluster = Annotated[
    str,
    typer.Option(
        "--machine",
        help="A machine from cluster/ that has a dashboard.",
        autocompletion=completion.machines,
    ),
]
Patience = Annotated[
    float, typer.Option(min=0.0, metavar="SECONDS", help="How long a cluster may be silent.")
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="As `casas-ray jobs` lists it.")]


def machine_at(name: str, dashboard: str) -> Machine:
    """The machine of this name, with the dashboard that was typed."""
    on = find_machine(name)
    return on.replace({"dashboard": dashboard}) if dashboard else on


@contextmanager
def reaching(on: Machine) -> Iterator["Dashboard"]:
    """The cluster of a machine, once it has answered."""
    from casas_ray.run.environment import prepare_environment

    prepare_environment()  # before ray is imported, which reads its token's mode but once
    with waiting("loading ray"):
        from casas_ray.run.cluster.dashboard import reached
    if on.dashboard:
        say(f"asking {on.dashboard}")
    with reached(on) as there:
        yield there


@command("jobs", "attach", "stop", "pull", "push", passes_on=True)
def submit(
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="A casas-ray command.")],
    machine: OnMachine = "local-head",
    dashboard: AtDashboard = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show all that would be sent, and send nothing.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Name the job and leave; attach follows it.")
    ] = False,
    patience: Patience = 60.0,
    as_json: AsJson = False,
) -> None:
    """Run a command on a Ray cluster, and follow its log.

    The cluster is checked, only files that git tracks travel, and the exit code is the command's.

    Example: casas-ray submit --machine local-head -- tune milan_ablation_mlm --simulated --quick
    """
    on, words = for_machine(machine_at(machine, dashboard), words)
    if on.slurm.partition:
        _to_slurm(words, on, dry_run=dry_run, as_json=as_json)
        return
    order = _order(words)
    if dry_run:
        _show(order, on, as_json=as_json)
        return
    with reaching(on) as there:
        from casas_ray.run.cluster import job
        from casas_ray.run.cluster.submit import submit as send

        for line in job_tables.parcel(order.parcel):
            say(line)
        with waiting("checking the cluster, and sending"):
            seen = send(there, order, on, say)
        say(job_tables.seen(seen))
        say(f"job {order.name} (stop it with: casas-ray stop {order.name})")
        code = None
        if not detach:
            code = job.attach(there, order.name, _heard(as_json), say, patience=patience)
    if as_json:
        print_json({"job": order.name, "exit_code": code, "cluster": dict(seen)})
    raise typer.Exit(code or 0)


def _to_slurm(words: list[str], on: Machine, *, dry_run: bool, as_json: bool) -> None:
    """Slurm's nodes have the checkout, or the installed package, on a disk of their own: nothing
    travels but the command."""
    from casas_ray.run.cluster import slurm

    if dry_run:
        command = slurm.batch_command(words, on)
        if as_json:
            print_json({"command": command})
        else:
            pass_on(shlex.join(command))
        return
    raise typer.Exit(slurm.submit(words, on, _heard(as_json), say))


def _order(words: list[str]) -> "Order":
    from pathlib import Path

    from casas_ray.run.cluster.order import new_order
    from casas_ray.run.cluster.parcel import parcel_of

    return new_order(words, parcel_of(Path.cwd()))


def _show(order: "Order", on: Machine, *, as_json: bool) -> None:
    told = order.as_dict(on.dashboard)
    if as_json:
        print_json(told)
    else:
        out.print(*job_tables.order(order, on), sep="\n")


def _heard(as_json: bool) -> Callable[[str], None]:
    # With --json the standard output is for JSON alone.
    return say_lines if as_json else pass_on


def say_lines(text: str) -> None:
    """Print what a job said on the error output."""
    for line in text.split("\n"):
        say(line)


@command("submit", "logs", "attach", "stop")
def jobs(
    machine: OnCluster = "local-head", dashboard: AtDashboard = "", as_json: AsJson = False
) -> None:
    """List a cluster's jobs, the newest last.

    Example: casas-ray jobs --machine local-head
    """
    with reaching(machine_at(machine, dashboard)) as there:
        from casas_ray.run.cluster.job import jobs as known

        found = known(there)
        if as_json:
            print_json([job_tables.job(each) for each in found])
        elif not found:
            out.print("No job was sent to this cluster; first: casas-ray submit -- tune STUDY")
        else:
            out.print(job_tables.jobs(found))


@command("attach", "jobs")
def logs(
    job: JobName,
    machine: OnCluster = "local-head",
    dashboard: AtDashboard = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    patience: Patience = 60.0,
) -> None:
    """Print what a job has said.

    Example: casas-ray logs tune-milan_ablation_mlm-1a2b3c --follow
    """
    with reaching(machine_at(machine, dashboard)) as there:
        from casas_ray.run.cluster.follow import Follower
        from casas_ray.run.cluster.job import log_of, real_name

        if follow:
            name = real_name(there, job)
            Follower(there, name, pass_on, patience=patience).to_the_end()
        else:
            pass_on(log_of(there, job).rstrip("\n"))


@command("submit", "logs", "stop")
def attach(
    job: JobName,
    machine: OnCluster = "local-head",
    dashboard: AtDashboard = "",
    patience: Patience = 60.0,
) -> None:
    """Follow a job from its beginning, and end with its exit code.

    Example: casas-ray attach tune-milan_ablation_mlm-1a2b3c
    """
    with reaching(machine_at(machine, dashboard)) as there:
        from casas_ray.run.cluster.job import attach as follow

        code = follow(there, job, pass_on, say, patience=patience)
    raise typer.Exit(code)


@command("submit", "attach", "jobs")
def stop(
    job: JobName,
    machine: OnCluster = "local-head",
    dashboard: AtDashboard = "",
    patience: Patience = 60.0,
    as_json: AsJson = False,
) -> None:
    """Let a job write its checkpoints and end, and say how it ended.

    Example: casas-ray stop tune-milan_ablation_mlm-1a2b3c
    """
    with reaching(machine_at(machine, dashboard)) as there:
        from casas_ray.run.cluster.job import log_of
        from casas_ray.run.cluster.job import stop as end

        with waiting("waiting for its checkpoints"):
            ended, was_running = end(there, job, patience=patience)
        last = log_of(there, job).rstrip("\n").rpartition("\n")[2]
        if as_json:
            told = {**job_tables.job(ended), "was_running": was_running, "last_line": last}
            print_json(told)
        else:
            out.print(job_tables.how_ended(ended, was_running=was_running))
            out.print(f"it said last: {last}")
