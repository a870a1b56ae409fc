"""The pace of steps, held between two clocks of the test's own."""

from collections.abc import Iterator
from time import perf_counter

from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader
from casas_ray.training.timer import StepTimer


def test_the_pace_is_that_of_the_steps_since_it_was_last_asked():
    timer = StepTimer()
    before = perf_counter()
    timer.start(100)
    started = perf_counter()
    sum(range(100_000))
    asked = perf_counter()
    found = timer.pace(102, batch_size=4)["train/samples_per_s"]
    # Two steps of four pairs, in no less time than the inner clock and no more than the outer one.
    assert 8 / (perf_counter() - before) <= found <= 8 / (asked - started)


def test_what_was_waited_for_is_told_once(small_loader: Loader):
    timer = StepTimer()
    timer.start(0)
    batches: Iterator[Batch] = timer.timed(small_loader.batches(start=0))
    next(batches)
    assert 0.0 < timer.pace(1, batch_size=32)["train/data_wait_share"] <= 1.0
    assert timer.pace(2, batch_size=32)["train/data_wait_share"] == 0.0
