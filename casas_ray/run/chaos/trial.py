"""A study put to the test: trained once undisturbed, then with faults for so many minutes."""

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from casas_ray.config import Machine
from casas_ray.errors import AllFailed, RefusedError, SetupError
from casas_ray.files import shown
from casas_ray.records.own_folder import own
from casas_ray.run.chaos.certificate import Certificate, certify
from casas_ray.run.chaos.command import Command, Failed, Round
from casas_ray.run.chaos.schedule import Fault
from casas_ray.run.chaos.victims import can_look
from casas_ray.run.reach import named_address

Say = Callable[[str], None]
UNDISTURBED = "undisturbed"


def refuse_others(machine: Machine) -> None:
    """Refuse a machine on which faults would befall what this command did not start.

    Raises:
        RefusedError: it, or RAY_ADDRESS, names a cluster.
        SetupError: this system does not tell whose a process is.
    """
    address, name = named_address(machine)
    if address:
        raise RefusedError(
            f"{name}={address} is a cluster that this command did not start.",
            hint=f"leave {name} empty: chaos starts a Ray of its own, and kills nobody else's.",
        )
    if not can_look():
        raise SetupError(
            "this system has no /proc, which tells whose a process is.",
            hint="run it on Linux, or in a container.",
        )


def put_to_the_test(
    words: Sequence[str],
    folder: Path,
    faults: Sequence[Fault],
    say: Say,
    *,
    seed: int,
    minutes: float,
) -> Certificate:
    """The certificate of `casas-ray tune` with these words, kept in the folder with the studies
    that it is of. When a study is done before the last fault, it is trained again for the rest.

    Raises:
        AllFailed: the command ended in a way that no fault explains.
    """
    own(folder)
    log = folder / "commands.log"
    command = Command(words, log)
    try:
        say(f"training the study with no fault, into {shown(folder / UNDISTURBED)}")
        command.undisturbed(folder / UNDISTURBED)
        rounds = list(_rounds(command, folder, list(faults), say))
    except Failed as error:
        raise AllFailed(
            f"the study cannot be put to the test: {error}",
            hint=f"what the commands said is in {shown(log)}.",
        ) from None
    finally:
        command.end()
    certificate = certify(folder / UNDISTURBED, rounds, seed=seed, minutes=minutes)
    certificate.write(folder)
    return certificate


def _rounds(command: Command, folder: Path, faults: list[Fault], say: Say) -> list[Round]:
    began = time.monotonic()
    rounds: list[Round] = []
    while faults or not rounds:
        place = _free(folder)
        say(f"training it with faults, into {shown(place)}; {len(faults)} are to come")
        rounds.append(command.disturbed(place, faults, lambda: time.monotonic() - began))
    return rounds


def _free(folder: Path) -> Path:
    names = (f"disturbed-{number}" for number in itertools.count(1))
    return next(folder / name for name in names if not (folder / name).exists())
