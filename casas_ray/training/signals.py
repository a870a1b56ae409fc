"""Ctrl-C and SIGTERM, heard by a training in this process at the end of its step."""

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""What a training has, once it is asked to stop, to finish its step and write a checkpoint."""

STOPPING = "stopping at the end of this step; a second signal ends at once"

_HEARD = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """A context manager that hears the first signal and lets the second end the process at once.

    The end of the grace is taken for a second signal. Only a main thread hears signals; in another
    nothing is ever asked.
    """

    def __init__(self) -> None:
        self._number = 0
        self._before: dict[int, Any] = {}  # Any: what signal.signal takes and gives
        self._grace: threading.Timer | None = None

    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._number != 0

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            # What a shell told to be ignored, as Ctrl-C in the background, stays ignored.
            heard = [number for number in _HEARD if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._hear) for number in heard}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unhear()
        # Also where it failed meanwhile: that stands in its ledger, and no further trial may begin.
        if self._number and (kind is None or issubclass(kind, Exception)):
            signal.raise_signal(self._number)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._number:
            self._unhear()
            signal.raise_signal(number)
            return
        self._number = number
        # From a thread: the signal may have come in the middle of somebody's writing.
        threading.Thread(target=log.warning, args=(STOPPING,), daemon=True).start()
        # To the main thread by name: Python may let any thread take a signal sent to the process.
        main = threading.main_thread().ident
        self._grace = threading.Timer(GRACE_SECONDS, signal.pthread_kill, (main, number))
        self._grace.daemon = True
        self._grace.start()

    def _unhear(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
