"""Work through Ray in a thread, while this one hears signals and notices when Ray is gone.

Ray's calls wait for a dead cluster for a minute and more, deaf to signals, and then abort the
process. So none is made from the main thread.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from casas_ray.config import Machine
from casas_ray.errors import ClusterError, Terminated
from casas_ray.run.bell import Bell
from casas_ray.run.environment import RAY_THREAD
from casas_ray.run.leftovers import end_leftovers
from casas_ray.run.reach import Pulse, named_address, nobody, refuse_nobody
from casas_ray.run.room import fits
from casas_ray.run.session import Joined, session
from casas_ray.training.signals import GRACE_SECONDS, STOPPING

log = logging.getLogger(__name__)

Work = Callable[[Bell], None]

_JOINING_SECONDS = 8.0
_LETTING_GO_SECONDS = 2.0
_EVERY_SECONDS = 0.2
_PATIENCE_HERE, _PATIENCE = 3.0, 8.0


def attended(machine: Machine, work: Work) -> None:
    """Do work within a session of Ray.

    At the first Ctrl-C or SIGTERM the bell rings, and the work has a grace to stop by itself; at
    the second, and when Ray is gone, Ray and all of its processes are ended at once.

    Raises:
        ClusterError: the cluster does not answer, has no room, or went away.
        KeyboardInterrupt, Terminated: a signal came.
    """
    refuse_nobody(machine)
    thread = _RayThread(machine, work)
    # Tune and the daemons print to the standard output whatever their verbosity, at their very end
    # too; that is for our tables and JSON.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        thread.start()
        try:
            thread.attend()
        except (KeyboardInterrupt, Terminated):
            log.warning(STOPPING)
            thread.bell.ring()
            thread.wait(GRACE_SECONDS)
            raise
        finally:
            thread.let_go()


class _RayThread(threading.Thread):
    """The thread that Ray lives in from its start to its end: with it, Linux ends Ray's."""

    def __init__(self, machine: Machine, work: Work) -> None:
        super().__init__(name=RAY_THREAD, daemon=True)
        self.bell = Bell()
        self._machine = machine
        self._work = work
        self._joined: Joined | None = None
        self._pulse = Pulse()
        self._error: BaseException | None = None
        # Not `is_alive`: a join that a signal interrupts takes the thread for ended (Python 3.11).
        self._over = threading.Event()

    def run(self) -> None:
        try:
            with session(self._machine) as self._joined:
                # A network may hold its breath; what runs on this very machine does not.
                self._pulse.patience = _PATIENCE_HERE if self._joined.folder else _PATIENCE
                self._pulse.ports = self._joined.ports
                try:
                    self._in_session()
                finally:
                    self._pulse.ports = ()
        except BaseException as error:  # it is raised where it is waited for
            self._error = self._error or error
        finally:
            self._over.set()

    def _in_session(self) -> None:
        try:
            fits(self._machine)
            self.bell.hang()
            if not self.bell.has_rung:
                self._work(self.bell)
        except BaseException as error:
            # Kept here: the end of the session may take long, where Ray is gone for ever.
            self._error = error
        if not self._pulse.answers():
            self._error = self._gone()

    def attend(self) -> None:
        """Wait for the end of the work.

        Raises:
            ClusterError: Ray is gone, or could not be joined.
            BaseException: what the work raised.
        """
        began, joined = time.monotonic(), False
        while not self._over.wait(_EVERY_SECONDS):
            if not joined and self._joined is not None:
                joined = True
                _hear_signals_again()
            self._refuse_late(time.monotonic() - began)
            if isinstance(self._error, ClusterError):
                break
            if self._pulse.is_lost():
                raise self._gone()
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float) -> None:
        """Wait for the end of the work, or of Ray, for so long at most."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._pulse.is_lost():
            if self._over.wait(_EVERY_SECONDS):
                break

    def let_go(self) -> None:
        """Leave nothing of a Ray that was started here."""
        if self._joined is None:
            return
        patience = _LETTING_GO_SECONDS if self._over.is_set() else 0.0
        if self._joined.folder:
            end_leftovers(self._joined.folder, patience=patience)
        self._over.wait(_LETTING_GO_SECONDS)

    def _refuse_late(self, waited: float) -> None:
        address, name = named_address(self._machine)
        if address and self._joined is None and waited > _JOINING_SECONDS:
            raise nobody(address, name, f"it took more than {_JOINING_SECONDS:.0f} s to join")

    def _gone(self) -> ClusterError:
        where = named_address(self._machine)[0] or "this machine"
        return ClusterError(
            f"Ray at {where} went away while it worked for us.",
            hint="ledgers and checkpoints stand; start Ray again, and the same command goes on.",
        )


def _hear_signals_again() -> None:
    # Ray puts a handler of its own before Python's, which prints a stack at every SIGTERM.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
