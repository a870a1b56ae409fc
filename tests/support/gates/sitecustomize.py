"""Holds a training at a step until a test lets it go on; found by every Python process that has
this folder on its PYTHONPATH, workers of Ray among them.

CASAS_RAY_TEST_GATES names a folder. While it holds `RECIPE-seedS.hold`, whose text is a step, every
process that trains that recipe and seed waits before its first step from there on, and says so in
`RECIPE-seedS.PID.held`. Where the text goes on with `asked`, it waits until it is asked to stop:
what a driver asks has to travel, and a training let go meanwhile may have ended when it comes.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import time
from pathlib import Path

LOOP = "casas_ray.training.loop"


class _Gated(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != LOOP:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                _gate(module)

            spec.loader.exec_module = exec_module
        return spec


def _gate(loop) -> None:
    train_of_the_product, step_of_the_product = loop.train, loop.train_step
    is_asked_to_stop = bool

    def train(recorder, recipe, loader):
        nonlocal is_asked_to_stop
        is_asked_to_stop = recorder.context.is_asked_to_stop
        return train_of_the_product(recorder, recipe, loader)

    def train_step(state, batch, **more):
        _wait(f"{state.recipe.name}-seed{state.recipe.seed}", state.step, is_asked_to_stop)
        return step_of_the_product(state, batch, **more)

    loop.train, loop.train_step = train, train_step


def _wait(name: str, step: int, is_asked_to_stop) -> None:
    folder = Path(os.environ["CASAS_RAY_TEST_GATES"])
    hold, mark = folder / f"{name}.hold", folder / f"{name}.{os.getpid()}.held"
    while _holds(hold, step, is_asked_to_stop):
        mark.touch()
        time.sleep(0.02)
    # Here too: who lets go may have cleared it before it was last touched.
    mark.unlink(missing_ok=True)


def _holds(hold: Path, step: int, is_asked_to_stop) -> bool:
    try:
        first, *until = hold.read_text().split()
    except (FileNotFoundError, ValueError):  # let go, or being written
        return False
    return step >= int(first) and not (until and is_asked_to_stop())


if "CASAS_RAY_TEST_GATES" in os.environ:
    sys.meta_path.insert(0, _Gated())
