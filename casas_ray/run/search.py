"""A search over ranges of settings: a searcher of Ray Tune draws arms, and hears of each the mean
over the study's seeds.

What it drew stands in `search.json` before it is trained, and what came of it in the ledgers. A
search that was ended anywhere is taken up by asking a new searcher, with the same seed, everything
again: it draws the same, and nothing is trained twice.
"""

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from casas_ray.config.ranges import Integers, Range, Uniform
from casas_ray.errors import RefusedError, SettingsError, SetupError
from casas_ray.records.rule import METRIC
from casas_ray.records.search_record import Drawn, SearchRecord, taken_up
from casas_ray.records.study_record import StudyRecord
from casas_ray.run.rounds import Rounds
from casas_ray.study import BASE_ARM, Arm, Study, named_by

if TYPE_CHECKING:
    from ray.tune.search import Searcher

Space = Mapping[str, Range]


@dataclass(frozen=True)
class Search:
    """A study whose ranges are searched, and where."""

    study: Study
    rounds: Rounds
    trials: int
    """Arms that are drawn in all."""

    at_a_time: int
    """Arms that are drawn and trained together."""

    def run(self, *, fresh: bool = False) -> StudyRecord:
        """The record of the study when so many arms were drawn and trained, the base beside them.

        Raises:
            SettingsError: the study has no ranges.
            SetupError: optuna is not installed.
            RefusedError: its folder holds another search.
            DataError, ClusterError: as for `Rounds.train`.
        """
        if not self.study.ranges:
            raise SettingsError(
                f"study '{self.study.name}' has no ranges to search.",
                hint="Study(..., ranges={'optim.learning_rate': loguniform(1e-4, 3e-3)}).",
            )
        asked = self._asked()
        record = self.rounds.train(self.study, fresh=fresh)
        search = taken_up(record.folder, asked)
        searcher = _searcher(self.study.ranges, search.seed)
        for begun in range(0, self.trials, search.at_a_time):
            count = min(search.at_a_time, self.trials - begun)
            batch = [self._drawn(searcher, begun + at) for at in range(count)]
            batch = _as_held(search, batch, begun)
            if not all(drawn.is_told for drawn in batch):
                # Before they are trained: who takes the search up trains these, and no others.
                search = search.with_drawn(begun, batch)
                search.write(record.folder)
                record = self._trained(batch)
                batch = [self._told(record, drawn) for drawn in batch]
                search = search.with_drawn(begun, batch)
                search.write(record.folder)
            for at, drawn in enumerate(batch):
                told = None if drawn.mean is None else {METRIC: drawn.mean}
                searcher.on_trial_complete(str(begun + at), told, error=told is None)
        return record

    def _asked(self) -> SearchRecord:
        try:
            found = version("optuna")
        except PackageNotFoundError:
            raise SetupError(
                "a search wants optuna.", hint="pip install 'casas-ray[search]'"
            ) from None
        return SearchRecord(
            algorithm="optuna",
            version=found,
            ranges={path: str(values) for path, values in self.study.ranges.items()},
            seed=self.study.seeds[0],
            at_a_time=self.at_a_time,
        )

    def _drawn(self, searcher: "Searcher", index: int) -> Drawn:
        found: Any = searcher.suggest(str(index))
        values = {path: self.study.ranges[path].as_drawn(value) for path, value in found.items()}
        # Values that are the base's, or an arm's of the file, are trained there already.
        digest = self.study.base.replace(values).digest()
        for arm in [Arm(BASE_ARM, {}), *self.study.arms]:
            if self.study.base.replace(arm.changes).digest() == digest:
                return Drawn(arm=arm.name, values=values)
        return Drawn(arm=named_by(values), values=values)

    def _trained(self, batch: Sequence[Drawn]) -> StudyRecord:
        known = {BASE_ARM, *(arm.name for arm in self.study.arms)}
        values = {drawn.arm: drawn.values for drawn in batch if drawn.arm not in known}
        arms = [Arm(name, changes) for name, changes in values.items()]
        part = replace(self.study, arms=[*self.study.arms, *arms])
        return self.rounds.train(part, extend=True)

    def _told(self, record: StudyRecord, drawn: Drawn) -> Drawn:
        """The arm with the mean over seeds of the best that each came to."""
        best = [
            run.best().get(METRIC)
            for (name, seed), run in record.results().items()
            if name == drawn.arm and seed in self.study.seeds
        ]
        values = [value for value in best if value is not None and math.isfinite(value)]
        is_whole = bool(values) and len(values) == len(best)
        mean = statistics.fmean(values) if is_whole else None
        self.rounds.watch(f"{drawn.arm}: {'no number' if mean is None else f'{mean:.3f}'}")
        return drawn.model_copy(update={"mean": mean, "is_told": True})


def _as_held(search: SearchRecord, batch: Sequence[Drawn], begun: int) -> list[Drawn]:
    """The batch with what is known of it, where it was drawn before; then it must be the same."""
    before = search.drawn[begun : begun + len(batch)]
    for held, drawn in zip(before, batch, strict=False):
        if (held.arm, held.values) != (drawn.arm, drawn.values):
            raise RefusedError(
                f"the searcher draws {drawn.arm} where it drew {held.arm}.",
                hint="its packages or Python may have changed; --fresh begins another search.",
            )
    return [*before, *batch[len(before) :]]


def _searcher(ranges: Space, seed: int) -> "Searcher":
    import optuna
    from ray.tune.search.optuna import OptunaSearch  # seconds to import

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray.tune.search.optuna").setLevel(logging.ERROR)
    space = {path: _tune_domain(values) for path, values in ranges.items()}
    return OptunaSearch(space=space, metric=METRIC, mode="max", seed=seed)


def _tune_domain(values: Range) -> Any:  # Any: Tune's kinds of domains have no common public type
    from ray import tune

    if isinstance(values, Uniform):
        make = tune.loguniform if values.is_log else tune.uniform
        return make(values.low, values.high)
    if isinstance(values, Integers):
        return tune.randint(values.low, values.high + 1)
    return tune.choice(list(values.values))
