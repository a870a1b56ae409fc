"""How fast steps go, and how long they wait for their batches."""

import time
from collections.abc import Iterator

from casas_ray.loader.batch import Batch


class StepTimer:
    """Measures samples a second between the moments at which it is asked."""

    def __init__(self) -> None:
        self._step, self._then = 0, time.perf_counter()
        self._waited = 0.0

    def start(self, step: int) -> None:
        """Count from this step and this moment on."""
        self._step, self._then, self._waited = step, time.perf_counter(), 0.0

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; how long they were waited for is remembered."""
        while True:
            start = time.perf_counter()
            batch = next(batches)
            # Here, and not after the yield: that time is the work of who takes them.
            self._waited += time.perf_counter() - start
            yield batch

    def waited_seconds(self) -> float:
        """The seconds that batches were waited for since this was last asked."""
        waited, self._waited = self._waited, 0.0
        return waited

    def pace(self, step: int, batch_size: int) -> dict[str, float]:
        """Samples a second and the share of time spent waiting, since this was last asked."""
        now = time.perf_counter()
        seconds, steps = now - self._then, step - self._step
        self._step, self._then = step, now
        return {
            "train/samples_per_s": steps * batch_size / seconds,
            "train/data_wait_share": self.waited_seconds() / seconds,
        }
