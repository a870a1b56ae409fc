"""An ablation as a base and its arms; seeds are an axis."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from casas_ray import paths
from casas_ray.arms import Arm, as_written, cross, each, former_arm_name, named_by
from casas_ray.config import DataConfig, Recipe, Tracking
from casas_ray.config.base import differences, flat
from casas_ray.config.ranges import Range, choice, loguniform, randint, uniform
from casas_ray.errors import SettingsError, did_you_mean

__all__ = [
    "BASE_ARM",
    "Arm",
    "Range",
    "Study",
    "Trial",
    "as_written",
    "choice",
    "cross",
    "describe_arm",
    "each",
    "former_arm_name",
    "loguniform",
    "named_by",
    "quickened",
    "randint",
    "uniform",
    "usual_tracking",
]

BASE_ARM = "base"

QUICK = {
    "model.width": 192,
    "model.layers": 2,
    "model.heads": 3,
    "model.feed_forward": 768,
    "optim.epochs": 2,
    "data.captions.per_window": 2,
}
"""What `--quick` changes: the tiny model, few epochs, fewer captions."""

QUICK_SIMULATED_DAYS = 6
QUICK_LOG_EVERY = 5
"""Steps between rows of training metrics: a quick run has few steps, and would have no row."""


@dataclass(frozen=True)
class Trial:
    """One training of a study: an arm with a seed, resolved."""

    study: str
    arm: str
    recipe: Recipe

    @property
    def name(self) -> str:
        """The trial's name, as every view of it shows it."""
        return f"{self.arm}-seed{self.recipe.seed}"

    @property
    def folder(self) -> str:
        """The name of its folder: its own, where that can be one."""
        return _trial_folder(self.arm, str(self.recipe.seed))


@dataclass(frozen=True)
class Study:
    """One question, a base and the arms that differ from it.

    Raises:
        SettingsError: at import, when an arm names an unknown setting or a home that cannot be
            one, or equals the base or another arm.
    """

    question: str
    base: Recipe
    arms: Sequence[Arm]
    seeds: Sequence[int] = (0, 1, 2)
    name: str = "unnamed"
    quick: bool = field(default=False, kw_only=True)

    rope: float = field(default=0.01, kw_only=True)
    """A difference of recall_mean that does not matter; written down before the first trial."""

    ranges: Mapping[str, Range] = field(default_factory=dict, kw_only=True)
    """Settings by path that a search draws (`casas-ray tune --search`), each from its range."""

    changes: Mapping[str, object] = field(default_factory=dict, kw_only=True)
    """What was changed in the base of the study's file."""

    def __post_init__(self) -> None:
        if not 0.0 < self.rope < 1.0:
            raise SettingsError(
                f"{self._called}: rope={self.rope} is no difference of a recall.",
                hint="0.01 is a point; a study says what does not matter before it runs.",
            )
        self._refuse_like_names()
        # By digest, not by changes: a default written out is the base under another name.
        arm_names = {self.base.digest(): BASE_ARM}
        self._refuse_no_home(self.base)
        for arm in self.arms:
            changed = self.base.replace(arm.changes)
            self._refuse_no_home(changed)
            digest = changed.digest()
            if digest in arm_names:
                raise SettingsError(
                    f"{self._called}: arm '{arm.name}' is the same as '{arm_names[digest]}'.",
                    hint="the base runs as an arm by itself; leave its value out.",
                )
            arm_names[digest] = arm.name
            if "seed" in arm.changes:
                raise SettingsError(
                    f"{self._called}: arm '{arm.name}' changes the seed, which is an axis.",
                    hint="give the study other `seeds`; every arm runs with each.",
                )
        for path, values in self.ranges.items():
            self._refuse_range(path, values)

    def _refuse_range(self, path: str, values: Range) -> None:
        if path == "seed" or path.startswith(("data.", "text.")):
            why = "an axis" if path == "seed" else "what all trials of a search share"
            raise SettingsError(
                f"{self._called}: {path} cannot be searched over, for it is {why}.",
                hint="a search sees the mean over `seeds`; arms may have data of their own.",
            )
        for value in values.ends:
            self.base.replace({path: value})  # whatever lies between fits too

    def _refuse_no_home(self, recipe: Recipe) -> None:
        for home in recipe.data.homes:
            if not paths.is_safe_name(home):
                raise SettingsError(
                    f"{self._called}: '{home}' cannot be a home's name.",
                    hint="data.homes takes names of homes with commas between them, or the name of "
                    "one prepared set.",
                )

    def _refuse_like_names(self) -> None:
        # As the recipe reads them: True and 1.0 are the seed 1.
        seeds = [str(self.base.replace({"seed": seed}).seed) for seed in self.seeds]
        if not seeds:
            raise SettingsError(f"{self._called} has no seed.", hint="seeds=(0, 1, 2)")
        arms = [BASE_ARM, *(arm.name for arm in self.arms)]
        for name in arms:
            if not name.strip() or name.startswith("/") or ".." in name.split("/"):
                raise SettingsError(
                    f"{self._called}: arm '{name}' has no name, or one that cannot be a "
                    "folder's name.",
                    hint="call it by what it changes, as `each` and `cross` do.",
                )
        # Trials of one name would share a folder, and each go on from the other's checkpoint. In
        # small letters: some file systems know no other difference.
        longest = max(seeds, key=len)
        for what, names in (("arm", arms), ("seed", seeds)):
            small = [_trial_folder(name, longest).casefold() for name in names]
            twice = [name for at, name in enumerate(names) if small[at] in small[:at]]
            if twice:
                raise SettingsError(
                    f"{self._called}: {what} '{twice[0]}' is there twice; two trials would "
                    "share a folder.",
                    hint=f"'{BASE_ARM}' runs by itself, and capital letters are no difference.",
                )

    def with_base(self, changes: Mapping[str, object]) -> "Study":
        """The same question asked of a changed base.

        A setting that an arm varies cannot be changed in the base: the arms would be renamed
        silently. Seeds are an axis of their own.

        Raises:
            SettingsError: a setting is unknown, or is what the study varies.
        """
        if "seed" in changes:
            raise SettingsError(
                f"a study runs seeds {', '.join(str(seed) for seed in self.seeds)} of each arm.",
                hint="give the study file other `seeds`, or use train for one seed.",
            )
        for arm in self.arms:
            for path in set(arm.changes) & set(changes):
                raise SettingsError(
                    f"'{path}' is what this study varies.",
                    hint="copy the study file and give it other values, or use train for one run.",
                )
        for path in set(self.ranges) & set(changes):
            raise SettingsError(f"'{path}' is what this study searches over.")
        return replace(self, base=self.base.replace(changes), changes={**self.changes, **changes})

    def with_seeds(self, count: int) -> "Study":
        """The study with so many seeds: its own first, then the next whole numbers.

        Raises:
            SettingsError: fewer than one is asked for.
        """
        if count < 1:
            raise SettingsError(f"--seeds {count}: a study wants one seed at least.")
        further = (seed for seed in itertools.count(max(self.seeds) + 1))
        seeds = itertools.islice(itertools.chain(self.seeds, further), count)
        return replace(self, seeds=tuple(seeds))

    def with_arms(self, names: Sequence[str]) -> "Study":
        """The study with these of its arms; the base runs anyway.

        Raises:
            SettingsError: it has no such arm.
        """
        known = [arm.name for arm in self.arms]
        for name in names:
            if name not in (*known, BASE_ARM):
                problem = f"{self._called} has no arm '{name}'."
                raise SettingsError(problem, hint=did_you_mean(name, known))
        return replace(self, arms=[arm for arm in self.arms if arm.name in names])

    def on_set(self, data: DataConfig) -> "Study":
        """The same question asked of a set that is prepared already, by what it was made with.

        Raises:
            SettingsError: an arm changes how data is prepared.
        """
        for arm in self.arms:
            if idle := [path for path in arm.changes if path.startswith("data.")]:
                raise SettingsError(
                    f"arm '{arm.name}' changes {idle[0]}, which has no effect on a prepared set, "
                    "whose windows are cut already.",
                    hint="name homes instead of a set, so that each arm's data is prepared.",
                )
        return replace(self, base=self.base.with_data(data))

    def quickened(self) -> "Study":
        """The study with the tiny model and few epochs, said so wherever it is shown."""
        return replace(self, base=quickened(self.base), quick=True)

    @property
    def _called(self) -> str:
        # A study has its file's name, which it does not know while the file is read.
        return "the study" if self.name == "unnamed" else f"study '{self.name}'"

    def trials(self) -> list[Trial]:
        """Every arm with every seed; seeds outermost, so that a stopped study has whole rounds."""
        # The folder of a study on disk is named by this order: another order is another folder.
        arms = [Arm(BASE_ARM, {}), *self.arms]
        return [
            Trial(self.name, arm.name, self.base.replace({**arm.changes, "seed": seed}))
            for seed in self.seeds
            for arm in arms
        ]

    @property
    def caveats(self) -> tuple[str, ...]:
        """What must be said of the data of any arm."""
        every = (caveat for trial in self.trials() for caveat in trial.recipe.data.caveats)
        return tuple(dict.fromkeys(every))

    def base_values(self) -> dict[str, object]:
        """What the base holds for each setting that some arm varies."""
        varied = {path for arm in self.arms for path in arm.changes}
        return {path: value for path, value in flat(self.base).items() if path in varied}


def quickened(recipe: Recipe) -> Recipe:
    """The recipe with the tiny model and few epochs, and a short simulation if it is simulated."""
    return recipe.replace({**QUICK, "data.simulate.days": QUICK_SIMULATED_DAYS})


def usual_tracking(*, quick: bool) -> Tracking:
    """How runs are tracked where nobody says it."""
    return Tracking(log_every=QUICK_LOG_EVERY) if quick else Tracking()


def _trial_folder(arm: str, seed: str) -> str:
    end = f"-seed{seed}"  # stays readable however long the arm's name is
    return paths.folder_name(arm, most=paths.LONGEST_NAME - len(end)) + end


def describe_arm(study: Study, arm: Arm) -> dict[str, object]:
    """What the arm really changes, read off the resolved recipes."""
    return differences(study.base, study.base.replace(arm.changes))
