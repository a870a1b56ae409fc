"""The command `chaos`: faults at random in a run of the user's own study, and a certificate."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli.app import (
    Arms,
    AsJson,
    Changes,
    OnMachine,
    Quick,
    Seeds,
    Simulated,
    StudyName,
    command,
    study_settings,
)
from casas_ray.cli.console import out, print_json, say
from casas_ray.cli.fitting import Table
from casas_ray.cli.given import OutputDir, own_or_none
from casas_ray.cli.tables import heading
from casas_ray.errors import SettingsError, SomeFailed
from casas_ray.files import shown
from casas_ray.run.chaos.schedule import WHAT, Fault, schedule

if TYPE_CHECKING:
    from casas_ray.run.chaos.certificate import Certificate

Minutes = Annotated[float, typer.Option(min=0.1, max=10_000, help="How long faults come.")]
FaultSeed = Annotated[int, typer.Option("--seed", min=0, help="Of the faults: which, and when.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show which faults would come.")]

# Typed ones stand behind them and win: deaths by our own hand are no reason to give a trial up,
# and rows that are near each other tell how many steps were lost.
_USUAL = ("machine.max_failures=1000", "tracking.log_every=5")
_MOST_SHOWN = 5


@command("tune", "plan", "table", "doctor")
def chaos(
    study: StudyName,
    changes: Changes = None,
    minutes: Minutes = 10.0,
    seed: FaultSeed = 0,
    output_dir: OutputDir = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    seeds: Seeds = None,
    arms: Arms = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a study while faults come, and certify the result.

    It is trained undisturbed first, and then with processes killed, stopped and interrupted and
    files damaged: only such as this command started, in a folder of its own. The certificate says
    which faults came, how many steps and trials were lost, and whether the result is the same, bit
    by bit (on a CPU in fp32). Exit code 0: it is; 5: it is not, or a trial was lost.

    Example: casas-ray chaos milan_ablation_mlm --simulated --quick --minutes 10
    """
    asked, on, _, _ = study_settings(
        study,
        changes,
        files={},
        quick=quick,
        simulated=simulated,
        machine=machine,
        seeds=seeds,
        arms=arms,
    )
    faults = schedule(seed, minutes, with_ray=on.seat == "ray")
    if dry_run:
        _show_schedule(faults, as_json=as_json)
        return
    from casas_ray.run.chaos.trial import put_to_the_test, refuse_others

    refuse_others(on)
    if not faults:
        raise SettingsError(
            f"no fault comes in {minutes:g} minutes with --seed {seed}.",
            hint="give --minutes more, or another --seed.",
        )
    name = paths.folder_name(f"chaos-{asked.name}-{asked.base.data.label}-seed{seed}")
    folder = own_or_none(output_dir) or paths.runs() / name
    words = _words(study, changes or [], quick, simulated, machine, seeds, arms)
    certificate = put_to_the_test(words, folder, faults, say, seed=seed, minutes=minutes)
    if as_json:
        print_json(certificate.as_dict())
    else:
        _show(certificate)
        out.print(f"The certificate and the studies lie in {shown(folder)}")
    if not certificate.is_equal:
        raise SomeFailed(
            f"{len(certificate.trials_lost)} trial(s) were lost, and "
            f"{len(certificate.differences)} came out otherwise than undisturbed.",
            hint=f"certificate.json and commands.log in {shown(folder)} say which.",
        )


def _words(
    study: str,
    changes: Sequence[str],
    quick: bool,
    simulated: bool,
    machine: str,
    seeds: int | None,
    arms: str,
) -> list[str]:
    """What `casas-ray tune` is called with."""
    options = ["--no-wandb", "--json", "--machine", machine]
    options += ["--quick"] if quick else []
    options += ["--simulated"] if simulated else []
    options += ["--seeds", str(seeds)] if seeds is not None else []
    options += ["--arms", arms] if arms else []
    return [study, *_USUAL, *changes, *options]


def _show_schedule(faults: Sequence[Fault], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"seconds": fault.at, "kind": fault.kind} for fault in faults]))
        return
    table = Table(title=f"{len(faults)} faults; each waits until a trial is at work")
    table.add_column("after s", justify="right")
    table.add_column("fault", no_wrap=True)
    table.add_column("what it is")
    for fault in faults:
        table.add_row(f"{fault.at:.0f}", fault.kind, WHAT[fault.kind])
    out.print(table)


def _show(certificate: "Certificate") -> None:
    table = Table(
        title=heading(f"{certificate.study}, seed {certificate.seed}", certificate.caveats),
        caption=_verdict(certificate),
    )
    table.add_column("fault", no_wrap=True)
    for name in ("came", "steps lost at most", "s until it went on"):
        table.add_column(name, justify="right")
    for kind, (count, lost, seconds) in certificate.recoveries().items():
        table.add_row(kind, str(count), str(lost), "-" if seconds is None else f"{seconds:.1f}")
    out.print(table)
    for label, what in list(certificate.differences.items())[:_MOST_SHOWN]:
        out.print(f"{label}: {what}")


def _verdict(certificate: "Certificate") -> str:
    result = "EQUAL to the undisturbed" if certificate.is_equal else "NOT EQUAL to the undisturbed"
    return (
        f"{len(certificate.faults)} faults in {certificate.rounds} round(s) of "
        f"{certificate.trials // certificate.rounds} trials; {len(certificate.trials_lost)} trials "
        f"lost; {certificate.left_behind} processes left behind; result {result}."
    )
