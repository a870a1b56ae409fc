"""Holds a training at a step until a test lets it go on; found by every Python process that has
this folder on its PYTHONPATH, workers of Ray among them.

CASAS_RAY_TEST_GATES names a folder. While it holds `RECIPE-seedS.hold`, whose text is a step, every
process that trains that recipe and seed waits before its first step from there on, and says so in
`RECIPE-seedS.PID.held`. Where the text goes on with `asked`, it waits until it is asked to stop:
what a driver asks has to travel, and a training let go meanwhile may have ended when it comes.
Where it names `rankR`, that rank alone waits.

`sending-RUN.hold` holds who sends a checkpoint's files of the run's step, or a later one, to the
recorder. `RECIPE-seedS.memory` leaves who trains that so many MiB more than it holds.
CASAS_RAY_TEST_RAY_VERSION is the version that Ray takes itself for.
"""

import importlib.abc
import importlib.machinery
import os
import re
import resource
import sys
import time
from pathlib import Path


class _Gated(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in GATED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                GATED[name](module)

            spec.loader.exec_module = exec_module
        return spec


def _gate_loop(loop) -> None:
    train_of_the_product, step_of_the_product = loop.train, loop.train_step
    context = None

    def train(recorder, recipe, loader):
        nonlocal context
        context = recorder.context
        return train_of_the_product(recorder, recipe, loader)

    def train_step(state, batch, **more):
        name = f"{state.recipe.name}-seed{state.recipe.seed}"
        _wait(name, state.step, context.rank, context.is_asked_to_stop)
        _limit(name)
        return step_of_the_product(state, batch, **more)

    loop.train, loop.train_step = train, train_step


def _gate_sending(module) -> None:
    send_of_the_product = module.RemoteStore._send
    save_of_the_product = module.RemoteStore.save

    def save(self, step, fill, **more):
        self._test_step = step
        return save_of_the_product(self, step, fill, **more)

    def _send(self, method, *what):
        send_of_the_product(self, method, *what)
        if method == "receive":
            _wait(f"sending-{self._run.name}", self._test_step, 0, bool)

    module.RemoteStore.save, module.RemoteStore._send = save, _send


def _gate_version(ray) -> None:
    ray.__version__ = os.environ.get("CASAS_RAY_TEST_RAY_VERSION", ray.__version__)


def _limit(name: str) -> None:
    path = Path(os.environ["CASAS_RAY_TEST_GATES"]) / f"{name}.memory"
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = hard
    if path.exists():
        held = re.search(r"VmSize:\s*(\d+) kB", Path("/proc/self/status").read_text())
        soft = 1024 * int(held[1]) + (int(path.read_text()) << 20)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


GATED = {
    "casas_ray.training.loop": _gate_loop,
    "casas_ray.run.remote_store": _gate_sending,
    "ray": _gate_version,
}


def _wait(name: str, step: int, rank: int, is_asked_to_stop) -> None:
    folder = Path(os.environ["CASAS_RAY_TEST_GATES"])
    hold, mark = folder / f"{name}.hold", folder / f"{name}.{os.getpid()}.held"
    while _holds(hold, step, rank, is_asked_to_stop):
        mark.touch()
        time.sleep(0.02)
    # Here too: who lets go may have cleared it before it was last touched.
    mark.unlink(missing_ok=True)


def _holds(hold: Path, step: int, rank: int, is_asked_to_stop) -> bool:
    try:
        first, *more = hold.read_text().split()
    except (FileNotFoundError, ValueError):  # let go, or being written
        return False
    if any(word.startswith("rank") for word in more) and f"rank{rank}" not in more:
        return False
    return step >= int(first) and not ("asked" in more and is_asked_to_stop())


if "CASAS_RAY_TEST_GATES" in os.environ:
    sys.meta_path.insert(0, _Gated())
