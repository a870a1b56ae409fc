"""The settings: Recipe (all that may change a result), Machine and Tracking (all that may not)."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from casas_ray.errors import CasasError, SettingsError, did_you_mean

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


def _split_commas(value: object) -> object:
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


Names = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]


class Settings(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    def replace(self, changes: Mapping[str, object]) -> Self:
        """A copy with `{"path.to.setting": value}` changed, checked as a whole.

        Raises:
            SettingsError: a path or a value does not fit.
        """
        tree = self.model_dump()
        for path, value in changes.items():
            _plant(tree, type(self), path, value)
        return self.build(tree)

    @classmethod
    def build(cls, tree: Mapping[str, object]) -> Self:
        """These settings from a plain dictionary.

        Raises:
            SettingsError: a name is unknown or a value has the wrong type.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise _readable(error, cls) from None

    def digest(self) -> str:
        """Twelve hexadecimal digits that change when any value changes."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class WindowConfig(Settings):
    """How a stream of events is cut into windows."""

    kind: Literal["fixed_length"] = "fixed_length"

    length: Annotated[int, Field(ge=2, le=4096)] = 20
    """Events in a window."""

    overlap: Fraction = 0.5
    """Share of a window's events that the next window holds again."""

    min_events: PositiveInt = 8
    """A shorter rest at the end of a stretch of days is left out."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_events > self.length:
            raise ValueError(f"min_events {self.min_events} is more than length {self.length}")
        return self

    @property
    def stride(self) -> int:
        """Events from the start of one window to the start of the next."""
        return max(1, round(self.length * (1.0 - self.overlap)))


class SplitConfig(Settings):
    """Which days train, validate and test; days are split before windows are cut."""

    kind: Literal["chronological"] = "chronological"

    val_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the days that choose; at least one day."""

    test_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the days that judge once; at least one day."""

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> Self:
        if self.val_share + self.test_share >= 1.0:
            raise ValueError("val_share + test_share leave no days to train on")
        return self


class CaptionConfig(Settings):
    """What is said of a window, from the window and the home's facts alone."""

    style: Literal["natural", "structured"] = "natural"
    """`natural` varies its wording by seed; `structured` always says started, ended, mainly where
    and the two busiest sensors, so that all captions of a window are one."""

    per_window: Annotated[int, Field(ge=1, le=16)] = 4
    """For training windows, which draw one of them each time; held-out windows have just the
    first."""

    seed: NonNegativeInt = 0
    """Varies the wording; a window's captions depend on this and on the window only."""


class SimulateConfig(Settings):
    """The simulated home, used only where it is asked for."""

    days: Annotated[int, Field(ge=3, le=3660)] = 30

    seed: NonNegativeInt = 0


class DataConfig(Settings):
    """Which homes, and how their logs become an alignment set."""

    homes: Names = ("milan",)
    """Names of homes, with commas between them; this version takes one."""

    simulated: bool = False
    """Use a simulated log of the home. Never turned on by itself."""

    drop_types: Names = ("temperature", "battery", "light_level")
    """Sensor types left out of the windows; by type, never by what a value looks like."""

    simulate: SimulateConfig = SimulateConfig()
    windows: WindowConfig = WindowConfig()
    split: SplitConfig = SplitConfig()
    captions: CaptionConfig = CaptionConfig()

    @model_validator(mode="after")
    def _one_home(self) -> Self:
        if len(self.homes) != 1:
            raise ValueError(f"homes has {len(self.homes)} names; this version takes exactly one")
        return self

    @property
    def home(self) -> str:
        """The home's name."""
        return self.homes[0]


class TextConfig(Settings):
    """The frozen text tower."""

    model: str = "minilm-l6"
    """`minilm-l6`, or any transformers encoder by hub name or path."""

    max_tokens: Annotated[int, Field(ge=8, le=512)] = 128
    """A longer caption is cut here."""


class ModelConfig(Settings):
    """The event encoder and the two projections."""

    width: PositiveInt = 512
    layers: PositiveInt = 4
    heads: PositiveInt = 8
    feed_forward: PositiveInt = 2048

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """After the embedding and after each attention and feed-forward; never on attention weights,
    which keeps attention fused. Drawn in steps of 1/256."""

    fourier_bands: Annotated[int, Field(ge=1, le=32)] = 12
    """Sine and cosine pairs for each coordinate of a sensor's position."""

    gap_bins: Annotated[int, Field(ge=4, le=256)] = 24
    """Logarithmic bins for the time since the previous event, 10 ms to a day."""

    embedding: PositiveInt = 512
    """Size of the space that windows and captions share."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")
        return self


class LossConfig(Settings):
    """What is added up, and how sharp the contrast is."""

    clip_weight: NonNegativeFloat = 0.7
    """Weight of the contrastive loss (InfoNCE, both ways)."""

    mlm_weight: NonNegativeFloat = 0.3
    """Weight of the masked-event loss. Events are masked at 0 too, so that only the weight
    varies."""

    temperature_init: PositiveFloat = 0.03

    temperature_learnable: bool = True

    temperature_min: PositiveFloat = 0.01

    temperature_max: PositiveFloat = 0.5

    @model_validator(mode="after")
    def _temperature_in_range(self) -> Self:
        low, start, high = self.temperature_min, self.temperature_init, self.temperature_max
        if not low <= start <= high:
            raise ValueError(f"temperature_init {start} lies outside {low} to {high}")
        return self


class MaskingConfig(Settings):
    """Which events are hidden from the encoder and asked back from it."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of a window's events that is masked: exactly, rounded to whole events."""

    mean_span: Annotated[float, Field(ge=1.0)] = 5.0
    """Mean number of events in a row that are masked together."""


class OptimConfig(Settings):
    """AdamW with warm-up and cosine, and when to look at validation days."""

    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pairs in a step over all workers: the number of workers must not change the loss."""

    epochs: PositiveInt = 5
    learning_rate: PositiveFloat = 2e-4
    beta1: Fraction = 0.9
    beta2: Fraction = 0.98
    weight_decay: NonNegativeFloat = 0.01
    """Not applied to temperature, biases and norms."""

    warmup_share: Fraction = 0.1
    """Share of all steps in which the rate rises; then it falls as a cosine to 0."""

    gradient_clip: PositiveFloat = 1.0
    """Largest norm of the whole gradient."""

    validate_every: PositiveInt = 500
    """Steps between looks at the validation days; the end of an epoch is always one."""

    select_by: Literal["val/recall_mean", "val/total_loss", "val/clip_loss"] = "val/recall_mean"
    """The validation metric that chooses the best checkpoint; losses are best when low."""


class Recipe(Settings):
    """All that may change a result."""

    name: str = "unnamed"
    """The starting point it grew from; a label that changes no number."""

    data: DataConfig = DataConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    masking: MaskingConfig = MaskingConfig()
    optim: OptimConfig = OptimConfig()

    seed: NonNegativeInt = 0
    """Draws the first weights, the order of windows, the masks and the dropout."""


class Machine(Settings):
    """All that may not change a result: where and on how many workers."""

    name: str = "laptop"

    seat: Literal["ray", "debug"] = "ray"
    """`debug` runs the loop in this very process, without Ray."""

    address: str = ""
    """The Ray cluster; empty starts one here, unless RAY_ADDRESS names one."""

    dashboard: str = ""
    """Where `casas-ray submit` sends jobs, e.g. http://127.0.0.1:8265."""

    workers: PositiveInt = 1
    """Workers of one training."""

    cpus_per_worker: PositiveFloat = 1.0
    gpus_per_worker: NonNegativeFloat = 0.0

    threads_per_worker: NonNegativeInt = 0
    """Torch threads; 0 takes the whole CPUs of the worker, at least one."""

    concurrent_trials: NonNegativeInt = 0
    """Trials of a study at a time; 0 is as many as fit."""

    max_failures: NonNegativeInt = 2
    """How often a training is taken up again after a worker died."""

    keep_checkpoints: PositiveInt = 2
    """The newest so many are kept, and always the best."""

    @property
    def threads(self) -> int:
        """Torch threads of a worker."""
        return self.threads_per_worker or max(1, int(self.cpus_per_worker))


class Tracking(Settings):
    """What W&B is told, and how often. W&B is a view of the ledger."""

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto` is online where a W&B key is at hand and offline elsewhere."""

    project: str = "discover-v2"
    entity: str = ""

    name: str = ""
    """The W&B name of one run; empty takes the run's own. Trials of a study keep theirs."""

    group: str = ""
    """The W&B group; empty takes the study's name."""

    tags: Names = ()
    notes: str = ""

    log_every: PositiveInt = 50
    """Steps between rows of training metrics."""


class Setup(Settings):
    """The three together: what a command line's `path=value` words are read into."""

    recipe: Recipe = Recipe()
    machine: Machine = Machine()
    tracking: Tracking = Tracking()


def parse_overrides(words: Iterable[str]) -> dict[str, object]:
    """`["optim.epochs=3"]` as `{"optim.epochs": 3}`; values are JSON where they parse as JSON.

    Raises:
        SettingsError: a word is not `path=value`.
    """
    return dict(_override(word) for word in words)


def _override(word: str) -> tuple[str, object]:
    path, equals, text = word.partition("=")
    if not equals or not path:
        raise SettingsError(
            f"'{word}' is not a setting.", hint="write path=value, for example optim.epochs=3"
        )
    try:
        return path.strip(), json.loads(text)
    except ValueError:
        return path.strip(), text


def split_overrides(
    changes: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    """Changes to the recipe, to the machine and to the tracking, by the first word of each path."""
    groups: dict[str, dict[str, object]] = {"recipe": {}, "machine": {}, "tracking": {}}
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        if rest and head in ("machine", "tracking"):
            groups[head][rest] = value
        else:
            groups["recipe"][path] = value
    return groups["recipe"], groups["machine"], groups["tracking"]


def differences(base: Settings, other: Settings) -> dict[str, object]:
    """`{"path": other's value}` for every setting in which the two differ."""
    before, after = flat(base), flat(other)
    return {path: value for path, value in after.items() if before.get(path) != value}


def flat(settings: Settings) -> dict[str, object]:
    """Every setting by its path: `{"optim.epochs": 5, ...}`."""
    return dict(_leaves(settings.model_dump(mode="json"), ""))


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plant(tree: dict[str, Any], kind: type[Settings], path: str, value: object) -> None:
    *groups, leaf = path.split(".")
    for group in groups:
        _known(group, tree, kind, path)
        if not isinstance(tree[group], dict):
            raise SettingsError(f"'{path}': '{group}' is one setting, not a group of settings.")
        tree = tree[group]
    _known(leaf, tree, kind, path)
    if isinstance(tree[leaf], dict):
        raise SettingsError(
            f"'{path}' is a group of settings.", hint=f"name one in it: {', '.join(tree[leaf])}"
        )
    tree[leaf] = value


def _known(name: str, tree: Mapping[str, object], kind: type[Settings], path: str) -> None:
    if name not in tree:
        everywhere = flat(kind())
        hint = did_you_mean(path, everywhere) if "." in path else did_you_mean(name, tree)
        raise SettingsError(f"unknown setting '{path}'.", hint=hint)


def _readable(error: ValidationError, kind: type[Settings]) -> CasasError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or kind.__name__
    if first["type"] == "extra_forbidden":
        return SettingsError(f"unknown setting '{where}'.", hint=did_you_mean(where, flat(kind())))
    wanted = first["msg"].removeprefix("Value error, ")
    return SettingsError(f"{where}: {wanted}; found {_short(first.get('input'))}.")


def _short(value: object) -> str:
    text = "these settings" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
