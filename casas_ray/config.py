"""The settings: Recipe (all that may change a result), Machine and Tracking (all that may not)."""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from casas_ray.settings import Fraction, Names, Settings


class WindowConfig(Settings):
    """How a stream of events is cut into windows."""

    kind: Literal["fixed_length", "fixed_duration"] = "fixed_length"

    length: Annotated[int, Field(ge=2, le=4096)] = 20
    """Events in a window of fixed length."""

    seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] = 60.0
    """Duration of a window of fixed duration; it starts at an event."""

    overlap: Fraction = 0.5
    """Share of a window (of its events, or of its seconds) that the next window holds again."""

    min_events: NonNegativeInt = 0
    """A window of fewer events is left out; 0 takes 8 for fixed length and 3 for fixed duration."""

    presegmented: bool = False
    """Cut within runs of one activity label: an ORACLE variant, which needs what nobody has in a
    home without labels. Every table made from it says so."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        unused = "seconds" if self.kind == "fixed_length" else "length"
        if getattr(self, unused) != type(self).model_fields[unused].default:
            raise ValueError(f"{unused} has no effect on windows of kind {self.kind}")
        if self.kind == "fixed_length" and self.least_events > self.length:
            raise ValueError(f"min_events {self.least_events} is more than length {self.length}")
        return self

    @property
    def least_events(self) -> int:
        """Events that a window has at least."""
        usual = min(8, self.length) if self.kind == "fixed_length" else 3
        return self.min_events or usual

    @property
    def stride(self) -> int:
        """Events from the start of one window of fixed length to the start of the next."""
        return max(1, round(self.length * (1.0 - self.overlap)))


class SplitConfig(Settings):
    """Which days train, validate and test; days are split before windows are cut."""

    kind: Literal["chronological", "random_days", "leave_home_out"] = "chronological"
    """`chronological`: the earliest days train, the latest are tested. `random_days`: days drawn by
    seed, which is easier, for neighbouring days are alike; tables say so. `leave_home_out`: all
    days of one home are tested, the latest days of the others validate."""

    val_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the days that choose; at least one day."""

    test_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the days that judge once; at least one day. No days of the homes that train are
    tested when a home is left out."""

    seed: NonNegativeInt = 0
    """Draws the days of `random_days`."""

    held_out: str = ""
    """The home that `leave_home_out` tests."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.val_share + self.test_share >= 1.0:
            raise ValueError("val_share + test_share leave no days to train on")
        if self.seed and self.kind != "random_days":
            raise ValueError(f"seed has no effect on a {self.kind} split")
        if bool(self.held_out) != (self.kind == "leave_home_out"):
            raise ValueError("held_out names the home of leave_home_out, and of nothing else")
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

    file: str = ""
    """A JSON file of captions from elsewhere, `{"captions": [{"sample_id", "captions": [...]}]}`,
    in place of the style; `casas-ray prepare HOME --json` writes the windows with their ids."""


class SimulateConfig(Settings):
    """The simulated home, used only where it is asked for."""

    days: Annotated[int, Field(ge=3, le=3660)] = 30

    seed: NonNegativeInt = 0

    residents: Annotated[int, Field(ge=1, le=2)] = 1
    """Two residents move at the same time; their activities are marked R1_ and R2_."""


class DataConfig(Settings):
    """Which homes, and how their logs become an alignment set."""

    homes: Names = ("milan",)
    """Names of homes, with commas between them: several become one set, with one vocabulary."""

    simulated: bool = False
    """Use a simulated log of each home. Never turned on by itself."""

    drop_types: Names = ("temperature", "battery", "light_level")
    """Sensor types left out of the windows; by type, never by what a value looks like."""

    simulate: SimulateConfig = SimulateConfig()
    windows: WindowConfig = WindowConfig()
    split: SplitConfig = SplitConfig()
    captions: CaptionConfig = CaptionConfig()

    @model_validator(mode="after")
    def _homes_fit(self) -> Self:
        if not self.homes or len(set(self.homes)) < len(self.homes):
            raise ValueError("homes wants at least one name, and none of them twice")
        held_out = self.split.held_out
        if held_out and (held_out not in self.homes or len(self.homes) < 2):
            raise ValueError(
                f"split.held_out {held_out} must be one of two homes or more in data.homes"
            )
        return self

    @property
    def label(self) -> str:
        """The homes as one word: `milan`, `milan+aruba`."""
        return "+".join(self.homes)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What every table made from this data has to say of it."""
        said = [
            ("SIMULATED home", self.simulated),
            ("ORACLE windows", self.windows.presegmented),
            ("random days", self.split.kind == "random_days"),
            (f"home {self.split.held_out} left out", self.split.kind == "leave_home_out"),
        ]
        return tuple(words for words, applies in said if applies)


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
