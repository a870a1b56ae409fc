"""What faults did to a study: steps lost, trials lost, and whether the result is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from casas_ray.records.ledger import LEDGER, rows_of
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import read_study
from casas_ray.report.same_runs import Resume, difference, resumes
from casas_ray.run.chaos.command import Injected, Round
from casas_ray.sealed import write_sealed

CERTIFICATE = "certificate.json"


@dataclass(frozen=True)
class Suffered:
    """A fault, and what it cost."""

    round: int
    kind: str
    victim: str
    seconds: float
    """After the round's first row."""

    steps_lost: int
    """The most that a trial did again."""

    recovery_seconds: float | None
    """Until a trial went on; None where none had to be taken up again."""


@dataclass(frozen=True)
class Certificate:
    """All that is certified of a study and its faults."""

    study: str
    seed: int
    minutes: float
    caveats: Sequence[str]
    device: str
    packages: dict[str, str]
    faults: Sequence[Suffered]
    rounds: int
    trials: int
    """Of all rounds."""

    trials_lost: Sequence[str]
    """Those that finished undisturbed and did not so here."""

    differences: dict[str, str]
    """By trial, the first difference from the undisturbed."""

    left_behind: int
    """Processes that outlived the command which had started them."""

    @property
    def is_equal(self) -> bool:
        """Whether every trial of every round came out as the undisturbed did, bit by bit."""
        return not self.differences and not self.trials_lost

    def recoveries(self) -> dict[str, tuple[int, int, float | None]]:
        """By kind of fault: how many came, the most steps lost, and the median seconds until a
        trial went on."""
        found: dict[str, tuple[int, int, float | None]] = {}
        for kind in sorted({fault.kind for fault in self.faults}):
            own = [fault for fault in self.faults if fault.kind == kind]
            waits = [each.recovery_seconds for each in own if each.recovery_seconds is not None]
            lost = max(fault.steps_lost for fault in own)
            found[kind] = (len(own), lost, median(waits) if waits else None)
        return found

    def as_dict(self) -> Mapping[str, object]:
        """As JSON for scripts."""
        return asdict(self) | {"equal": self.is_equal}

    def write(self, folder: Path) -> Path:
        """Keep it in a folder."""
        path = folder / CERTIFICATE
        write_sealed(path, self.as_dict())
        return path


def certify(
    undisturbed: Path, rounds: Sequence[Round], *, seed: int, minutes: float
) -> Certificate:
    """The certificate of a study that was trained with no fault in a folder, and with faults."""
    record = read_study(undisturbed)
    names = [name for _, _, name in record.trials]
    results = [RunResult.read(undisturbed / name) for name in names]
    whole = {run.folder.name for run in results if run.status == "finished"}
    lost, differences = [], {}
    for number, each in enumerate(rounds, start=1):
        for name in names:
            label = f"{name} (round {number})" if len(rounds) > 1 else name
            if name in whole and RunResult.read(each.folder / name).status != "finished":
                lost.append(label)
            elif found := difference(each.folder / name, undisturbed / name):
                differences[label] = found
    info = next((run.info for run in results if run.info), {})
    return Certificate(
        record.study,
        seed,
        minutes,
        record.caveats,
        info.get("device", "unknown"),
        info.get("packages", {}),
        [fault for number, each in enumerate(rounds, start=1) for fault in _suffered(number, each)],
        len(rounds),
        len(rounds) * len(names),
        lost,
        differences,
        sum(each.left_behind for each in rounds),
    )


def _suffered(number: int, done: Round) -> list[Suffered]:
    runs = [path.parent for path in done.folder.glob(f"*/{LEDGER}")]
    again = sorted((each for run in runs for each in resumes(run)), key=lambda each: each.time)
    began = min((rows_of(run / LEDGER)[0]["time"] for run in runs), default=0.0)
    ends = [*(fault.at for fault in done.injected[1:]), float("inf")]
    return [
        _cost(number, fault, until, again, began)
        # A round that was done before a fault came has none.
        for fault, until in zip(done.injected, ends, strict=False)
    ]


def _cost(
    number: int, fault: Injected, until: float, again: Sequence[Resume], began: float
) -> Suffered:
    own = [each for each in again if fault.at <= each.time < until]
    return Suffered(
        number,
        fault.kind,
        fault.victim,
        round(fault.at - began, 1),
        max((each.lost for each in own), default=0),
        round(own[0].time - fault.at, 1) if own else None,
    )
