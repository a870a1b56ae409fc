"""Two runs or two studies side by side: what differs between them, and what they earned."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from casas_ray.records.own_folder import STUDY_FILE
from casas_ray.records.provenance import UNKNOWN
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import read_study
from casas_ray.report.curves import drawing
from casas_ray.report.gallery import common
from casas_ray.report.pairs import Results
from casas_ray.report.settings_that_differ import recipe_of
from casas_ray.report.table import MAIN_METRIC, Spread
from casas_ray.study import BASE_ARM, as_written

Group = Literal["settings", "code", "data", "environment", "seeds", "arms", "ends"]
_FACTS: Mapping[Group, Sequence[str]] = {
    "code": ("git_commit", "git_dirty", "git_changes"),
    "data": ("fingerprint", "home", "simulated"),
    "environment": ("python", "device", "host_kind"),
}

ALONE = "run"
"""What stands for the arm of a single run: two of them compare, whatever arms they were."""


@dataclass(frozen=True)
class Side:
    """A run or a study, as its folder tells of it."""

    name: str
    caveats: tuple[str, ...]
    results: Results

    @property
    def runs(self) -> Sequence[RunResult]:
        """All trainings, arm by arm."""
        return list(self.results.values())

    @property
    def arms(self) -> Sequence[str]:
        """The names of its arms."""
        return list(dict.fromkeys(arm for arm, _ in self.results))

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds of any of its arms, in order."""
        return sorted({seed for _, seed in self.results})

    def called(self, arm: str) -> "Side":
        """The side with its one arm under another name."""
        return replace(self, results={(arm, seed): run for (_, seed), run in self.results.items()})

    def best_by_seed(self, arm: str) -> Mapping[int, float]:
        """The main metric of an arm's trainings, where they had a validation."""
        best = {seed: run.best() for (name, seed), run in self.results.items() if name == arm}
        return {seed: metrics[MAIN_METRIC] for seed, metrics in best.items() if metrics}

    def mean_by_step(self, arm: str) -> Mapping[int, float]:
        """The main metric's mean over an arm's seeds, at the steps that every one of them has."""
        own = {key: run for key, run in self.results.items() if key[0] == arm}
        panels = [panel for panel in drawing("", (), own).panels if panel.metric == MAIN_METRIC]
        return dict(panels[0].arms[arm].mean) if panels else {}


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same on both sides; `-` where a side has none."""

    group: Group
    what: str
    left: str
    right: str


@dataclass(frozen=True)
class Earned:
    """What an arm earned on either side: the main metric at the step that validation chose."""

    arm: str
    left: Spread | None
    right: Spread | None

    change: Spread | None
    """Right less left, over the seeds that both have; None where galleries or seeds differ."""


@dataclass(frozen=True)
class SideBySide:
    """The comparison; it holds no verdict, for no rule was written before these were trained."""

    left: Side
    right: Side
    differences: Sequence[Difference]
    earned: Sequence[Earned]
    is_comparable: bool
    """Whether all were ranked among the same windows and captions."""

    curves: Mapping[str, Sequence[tuple[int, float | None, float | None]]]
    """By arm: step, and the main metric's mean over seeds on either side."""

    @property
    def same(self) -> Sequence[Group]:
        """The groups in which nothing differs; settings only of arms that both have."""
        found = {each.group for each in self.differences}
        if not set(self.left.arms) & set(self.right.arms):
            found.add("settings")
        return [group for group in get_args(Group) if group not in found]

    def as_dict(self) -> dict[str, object]:
        """The comparison as JSON can hold it."""
        return {
            "sides": [
                {"name": side.name, "caveats": list(side.caveats)}
                for side in (self.left, self.right)
            ],
            "differences": [asdict(each) for each in self.differences],
            "same": list(self.same),
            "metric": MAIN_METRIC,
            "is_comparable": self.is_comparable,
            "arms": [asdict(each) for each in self.earned],
            "curves": {arm: list(map(list, points)) for arm, points in self.curves.items()},
        }


def read_side(folder: Path) -> Side:
    """The run or the study that lies in a folder.

    Raises:
        DataError: the folder holds none, or it is damaged.
    """
    if (folder / STUDY_FILE).is_file():
        study = read_study(folder)
        return Side(folder.name, study.marks, study.results())
    record = RunRecord.read(folder)
    # Of no study it is what a study would call its base.
    key = (record.arm or BASE_ARM, record.recipe.seed)
    return Side(folder.name, record.marks, {key: RunResult.read(folder)})


def side_by_side(left: Side, right: Side) -> SideBySide:
    """Settings, code, data, environment, seeds, arms, metrics and curves of both sides.

    Arms are matched by their names, and their seeds averaged.
    """
    left, right = _matched(left, right)
    is_comparable = common([*left.runs, *right.runs]) is not None
    arms = list(dict.fromkeys([*left.arms, *right.arms]))
    curves = {arm: _curve(arm, left, right) for arm in arms}
    return SideBySide(
        left,
        right,
        [*_settings(left, right), *_facts(left, right), *_trials(left, right)],
        [_earned(arm, left, right, is_comparable=is_comparable) for arm in arms],
        is_comparable,
        {arm: points for arm, points in curves.items() if points},
    )


def _matched(left: Side, right: Side) -> tuple[Side, Side]:
    """Sides of one arm each compare whatever those are called, as two runs of one study do."""
    if len(left.arms) == len(right.arms) == 1 and left.arms != right.arms:
        return left.called(ALONE), right.called(ALONE)
    return left, right


def _settings(left: Side, right: Side) -> list[Difference]:
    """What the trainings of an arm that both have were set to; told once where it is so in all."""
    shared = [arm for arm in left.arms if arm in right.arms]
    arms_of: dict[tuple[str, str, str], list[str]] = {}
    for arm in shared:
        ours, theirs = recipe_of(arm, left.results), recipe_of(arm, right.results)
        for path in dict.fromkeys([*ours, *theirs]) if ours and theirs else ():
            told = path, _text(ours, path), _text(theirs, path)
            if told[1] != told[2]:
                arms_of.setdefault(told, []).append(arm)
    return [
        Difference("settings", path if arms == shared else f"{path} ({', '.join(arms)})", *values)
        for (path, *values), arms in arms_of.items()
    ]


def _facts(left: Side, right: Side) -> list[Difference]:
    every = [
        Difference(group, name, _kinds(left, name), _kinds(right, name))
        for group, names in _FACTS.items()
        for name in names
    ]
    ours, theirs = _packages(left), _packages(right)
    every += [
        Difference("environment", name, ours.get(name, "-"), theirs.get(name, "-"))
        for name in sorted({*ours, *theirs})
    ]
    # Unknown code is not known to be the same.
    return [each for each in every if each.left != each.right or UNKNOWN in each.left]


def _trials(left: Side, right: Side) -> list[Difference]:
    every = [
        Difference("seeds", "seeds", _listed(left.seeds), _listed(right.seeds)),
        Difference("arms", "arms", _listed(left.arms), _listed(right.arms)),
        Difference("ends", "ends", _ends(left), _ends(right)),
    ]
    return [each for each in every if each.left != each.right]


def _text(recipe: Mapping[str, object], path: str) -> str:
    return as_written(recipe[path]) if path in recipe else "-"


def _kinds(side: Side, name: str) -> str:
    """Every value that its trainings gave a fact, at any of their starts."""
    found = (info.get(name) for run in side.runs for info in run.infos)
    return _listed(dict.fromkeys(str(value) for value in found if value not in (None, "")))


def _packages(side: Side) -> dict[str, str]:
    versions: dict[str, dict[str, None]] = {}
    for info in (info for run in side.runs for info in run.infos):
        for name, version in info.get("packages", {}).items():
            versions.setdefault(name, {})[str(version)] = None
    return {name: _listed(found) for name, found in versions.items()}


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "-"


def _ends(side: Side) -> str:
    counts = Counter(run.status for run in side.runs)
    return _listed(f"{count} {status}" for status, count in sorted(counts.items()))


def _earned(arm: str, left: Side, right: Side, *, is_comparable: bool) -> Earned:
    ours, theirs = left.best_by_seed(arm), right.best_by_seed(arm)
    shared = [theirs[seed] - ours[seed] for seed in ours if seed in theirs]
    return Earned(
        arm,
        Spread.of(list(ours.values())),
        Spread.of(list(theirs.values())),
        Spread.of(shared) if is_comparable else None,
    )


def _curve(arm: str, left: Side, right: Side) -> Sequence[tuple[int, float | None, float | None]]:
    ours, theirs = left.mean_by_step(arm), right.mean_by_step(arm)
    return [(step, ours.get(step), theirs.get(step)) for step in sorted({*ours, *theirs})]
