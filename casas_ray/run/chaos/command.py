"""The command of a study, run again and again until the study is done, while faults befall it."""

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from casas_ray.errors import AllFailed, ClusterError, SomeFailed
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import OPTIMIZER, WEIGHTS
from casas_ray.records.ledger import LEDGER
from casas_ray.records.rows import Row, row_of
from casas_ray.records.run_result import checkpoint_folder
from casas_ray.run.chaos.schedule import Fault
from casas_ray.run.chaos.victims import MARK, end_all, found, send

_DONE = (0, SomeFailed.exit_code, AllFailed.exit_code)
_ENDS_BY_A_FAULT = (ClusterError.exit_code, 128 + signal.SIGINT, 128 + signal.SIGTERM)
_LOOKS_EVERY_SECONDS = 0.1
_PAUSE_SECONDS = 4.0
_PATIENCE_SECONDS = 15.0
_VICTIMS = {
    "worker killed": "worker",
    "worker paused": "worker",
    "recorder killed": "recorder",
    "node killed": "node",
    "control killed": "control",
}
_GONE_ON_FROM = ("worker killed", "worker paused", "recorder killed")
"""The kinds after which the very command goes on."""

_MOST_SECONDS = 120.0
_HALF_A_ROW = b'{"event": "metrics", "step": 1'


@dataclass
class Injected:
    """A fault that came."""

    kind: str
    at: float
    """In seconds since 1970."""

    victim: str


@dataclass
class Round:
    """A study trained once from its beginning to its end."""

    folder: Path
    injected: list[Injected] = field(default_factory=list)
    commands: list[int] = field(default_factory=list)
    """The exit codes of the commands that it took."""

    left_behind: int = 0
    """Processes that outlived a command by more than a few seconds; they were killed."""


class Failed(Exception):
    """The command ended in a way that no fault explains; its words say why."""


@dataclass
class Command:
    """Trains a study into a folder: `casas-ray tune` with these words."""

    words: Sequence[str]
    log: Path
    """Where what it says lies, one command after the other."""

    _token: str = field(default_factory=lambda: secrets.token_hex(8))
    _process: subprocess.Popen[bytes] | None = None

    def undisturbed(self, folder: Path) -> Round:
        """The study trained with no fault; a folder in which it was is left as it is.

        Raises:
            Failed: it cannot be.
        """
        done = Round(folder)
        self._start(folder)
        self._wait(done)
        return done

    def disturbed(self, folder: Path, faults: list[Fault], clock: Callable[[], float]) -> Round:
        """The study trained while faults are taken from the list as their time, which the clock
        says, comes.

        Raises:
            Failed: a command ended by itself, and the study is not done.
        """
        done = Round(folder)
        self._start(folder)
        while True:
            if faults and clock() >= faults[0].at and self._inflict(faults[0], done):
                self._wait_if_it_ends(faults.pop(0).kind)
            if self._has_ended():
                self._wait(done)
                if done.commands[-1] in _DONE:
                    return done
                self._start(folder)
            time.sleep(_LOOKS_EVERY_SECONDS)

    def end(self) -> None:
        """End what still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        end_all(self._token, patience=0.0)

    def _start(self, folder: Path) -> None:
        command = [sys.executable, "-m", "casas_ray", "tune", *self.words]
        command += ["--output-dir", str(folder)]
        environment = {**os.environ, MARK: self._token}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _has_ended(self) -> bool:
        return self._running().poll() is not None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "nothing was started"
        return self._process

    def _wait(self, done: Round) -> None:
        """Wait for the end of the command and of all that it started."""
        code = self._running().wait()
        self._process = None
        done.left_behind += end_all(self._token, patience=_PATIENCE_SECONDS)
        done.commands.append(code)
        by_a_fault = code < 0 or code in _ENDS_BY_A_FAULT
        if code not in _DONE and not (by_a_fault and done.injected):
            raise Failed(f"the command ended with {code}: {self._last_words()}")

    def _wait_if_it_ends(self, kind: str) -> None:
        """Wait for the end of a command that such a fault ends: the next is to befall another."""
        if kind in _GONE_ON_FROM:
            return
        try:
            self._running().wait(timeout=_MOST_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end in {_MOST_SECONDS:.0f} s after: {kind}") from None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        said = [line for line in lines if line.startswith("casas-ray: ")]
        return (said or lines or ["it said nothing"])[-1]

    def _inflict(self, fault: Fault, done: Round) -> bool:
        """Whether there was something that the fault could befall."""
        # The next comes when the study has gone on after the last: else nobody could tell what each
        # of them cost.
        last = done.injected[-1].at if done.injected else 0.0
        trained = _in_training(done.folder, since=last)
        if not trained or self._has_ended():
            return False
        rng = random.Random(fault.draw)
        now = time.time()
        if fault.kind in _VICTIMS:
            victims = found(self._token, _VICTIMS[fault.kind])
            if not victims:
                return False
            self._befall(fault.kind, rng.choice(victims))
            done.injected.append(Injected(fault.kind, now, _VICTIMS[fault.kind]))
            return True
        run = rng.choice(trained)
        self._befall_command(fault.kind, run, rng)
        done.injected.append(Injected(fault.kind, now, run.name))
        return True

    def _befall(self, kind: str, pid: int) -> None:
        if kind != "worker paused":
            send(pid, signal.SIGKILL)
            return
        send(pid, signal.SIGSTOP)
        time.sleep(_PAUSE_SECONDS)
        send(pid, signal.SIGCONT)

    def _befall_command(self, kind: str, run: Path, rng: random.Random) -> None:
        process = self._running()
        if kind == "told to end":
            process.send_signal(signal.SIGTERM)
            return
        if kind == "interrupted twice":
            process.send_signal(signal.SIGINT)
            time.sleep(rng.uniform(0.0, 1.0))
            process.send_signal(signal.SIGINT)
            return
        process.kill()
        process.wait()
        end_all(self._token, patience=_PATIENCE_SECONDS)
        if kind == "ledger torn":
            with (run / LEDGER).open("ab") as stream:
                stream.write(_HALF_A_ROW)
        elif kind == "checkpoint damaged":
            _turn_a_bit(run, rng)


def _in_training(study: Path, *, since: float) -> list[Path]:
    """The runs of a study that have not ended, and have written a row since then."""
    last = {path.parent: _last_row(path) for path in sorted(study.glob(f"*/{LEDGER}"))}
    return [
        run for run, row in last.items() if row and row["event"] != "end" and row["time"] > since
    ]


def _last_row(ledger: Path) -> Row | None:
    # Asked again and again, also of ledgers that were torn here: no reader that warns of it.
    rows = (row_of(line) for line in reversed(ledger.read_bytes().splitlines()))
    return next((row for row in rows if row is not None), None)


def _turn_a_bit(run: Path, rng: random.Random) -> None:
    steps = checkpoints.steps(run)
    if not steps:
        return
    path = checkpoint_folder(run, steps[-1]) / rng.choice((WEIGHTS, OPTIMIZER))
    if path.exists():
        with path.open("r+b") as stream:
            stream.seek(rng.randrange(max(1, path.stat().st_size)))
            byte = stream.read(1) or b"\0"
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ 1]))
