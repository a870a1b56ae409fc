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

from casas_ray.settings import Fraction, Names, Settings, Share


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

    fields: Names = ()
    """What the encoder sees of an event; empty is all that the data has. Fields of the vocabulary,
    and `gap` (the time since the event before, in bins) and `position`. What is left out is not
    asked back from masked events either."""

    sensor_text: bool = False
    """See a sensor as its description through the text tower (`motion sensor by the stove,
    kitchen`) instead of as a vector of its own, so that one model serves homes it never saw."""

    positions: Literal["alibi", "rotary", "learned"] = "alibi"
    """How the encoder knows order: ALiBi by distance in events (CLS is not penalised), rotary by
    time in seconds, or a learned vector a place."""

    pooling: Literal["half", "cls", "mean", "attention"] = "half"
    """The window's vector: half CLS and half the mean of its events, or one of them, or a learned
    attention over its events."""

    projection: Literal["linear", "mlp"] = "linear"
    """Into the shared space, on both sides."""

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
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise ValueError(
                f"rotary positions need an even width of each head, not {self.width // self.heads}"
            )
        if self.sensor_text and self.fields and "sensor" not in self.fields:
            raise ValueError("sensor_text shows the sensor, which fields leaves out")
        if self.positions == "rotary" and self.fields and "gap" not in self.fields:
            raise ValueError("rotary positions tell the gaps, which fields leaves out")
        return self


SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 192, "layers": 2, "heads": 3, "feed_forward": 768},
    "small": {"width": 256, "layers": 4, "heads": 4, "feed_forward": 1024},
    "baseline": {"width": 512, "layers": 4, "heads": 8, "feed_forward": 2048},
    "medium": {"width": 512, "layers": 6, "heads": 8, "feed_forward": 2048},
    "large": {"width": 768, "layers": 6, "heads": 8, "feed_forward": 3072},
}
"""Named sizes of the encoder, as changes to `model`."""


class LossConfig(Settings):
    """What is added up, and how sharp the contrast is."""

    clip_weight: NonNegativeFloat = 0.7
    """Weight of the contrastive loss, both ways."""

    mlm_weight: NonNegativeFloat = 0.3
    """Weight of the masked-event loss. Events are masked at 0 too, so that only the weight
    varies."""

    kind: Literal["infonce", "sigmoid", "focal"] = "infonce"
    """InfoNCE (van den Oord et al. 2018); a sigmoid a pair with a learned bias (Zhai et al. 2023);
    or InfoNCE with the focal factor (1 - p)^gamma (Lin et al. 2017)."""

    focal_gamma: NonNegativeFloat = 2.0
    """Only for `focal`: how much pairs that are known already count less."""

    sigmoid_bias_init: float = -5.0
    """Only for `sigmoid`: where the learned bias starts."""

    duplicates: Literal["negatives", "ignored", "shared"] = "negatives"
    """Pairs off the diagonal with an equal caption or overlapping windows: pushed apart like any
    other, left out of the sums, or taken as positives with an equal share of the target."""

    soft_targets: Fraction = 0.0
    """Share of the target that follows the captions' similarity in the text model."""

    soft_temperature: PositiveFloat = 0.05
    """How sharp that similarity is."""

    bank_size: NonNegativeInt = 0
    """Pairs of earlier steps that serve as further negatives; 0 keeps none. Never a pair with the
    row's own caption or an overlapping window. Kept in the checkpoint."""

    bank_hardest: PositiveInt = 32
    """Of those, each row takes the so many that are most like it."""

    temperature_init: PositiveFloat = 0.03

    temperature_learnable: bool = True

    temperature_min: PositiveFloat = 0.01

    temperature_max: PositiveFloat = 0.5

    @model_validator(mode="after")
    def _fits(self) -> Self:
        low, start, high = self.temperature_min, self.temperature_init, self.temperature_max
        if not low <= start <= high:
            raise ValueError(f"temperature_init {start} lies outside {low} to {high}")
        if self.kind == "sigmoid" and (self.bank_size or self.soft_targets):
            raise ValueError("a sigmoid loss takes neither bank_size nor soft_targets")
        return self


class HideConfig(Settings):
    """Chance that a masked event hides something; what tells each other is hidden together."""

    sensor: Share = 1.0
    """The sensor, and with it room, sensor_type, floor and position."""

    state: Share = 1.0

    time_of_day: Share = 1.0
    """The time of day, and with it day_of_week."""

    time_gap: Share = 1.0
    """The time since the event before, as a bucket and as bins."""

    @property
    def always(self) -> bool:
        """Whether a masked event hides everything."""
        return min(self.sensor, self.state, self.time_of_day, self.time_gap) == 1.0


class MaskingConfig(Settings):
    """Which events are hidden from the encoder and asked back from it."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of a window's events that is masked: exactly, rounded to whole events."""

    mean_span: Annotated[float, Field(ge=1.0)] = 5.0
    """Mean number of events in a row that are masked together."""

    start: Literal["random", "transitions"] = "random"
    """Where spans start: anywhere, or rather where the room changes."""

    hide: HideConfig = HideConfig()

    blackout: Fraction = 0.0
    """Share of masked events that hide everything whatever `hide` says."""

    swap: Fraction = 0.0
    """Share of masked events that show another event of their window instead of MASK; they are
    asked back all the same (BERT has 0.1)."""

    keep: Fraction = 0.0
    """Share of masked events that show themselves (BERT has 0.1)."""

    grows_from: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Adaptive rate: the share rises from here to `share` over the training; 0 is `share` from the
    start. Validation always masks `share`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.swap + self.keep >= 1.0:
            raise ValueError("swap + keep leave nothing to mask")
        if self.blackout and self.hide.always:
            raise ValueError("blackout has no effect where masked events hide everything anyway")
        if self.grows_from > self.share:
            raise ValueError(f"grows_from {self.grows_from} is more than share {self.share}")
        return self


CompileKind = Literal["off", "on", "cuda_graphs"]


class OptimConfig(Settings):
    """AdamW with warm-up and cosine, and when to look at validation days."""

    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pairs in a step over all workers: the number of workers must not change the loss."""

    pieces: PositiveInt = 1
    """Cut each worker's share of a batch into so many pieces, one in memory at a time; every pair
    still meets all others of the batch (gradient caching, Gao et al. 2021)."""

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

    ema_decay: Fraction = 0.0
    """Judge a moving average of the weights that keeps so much of itself each step; 0 judges the
    weights themselves."""

    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """`bf16` computes products in bfloat16 and keeps weights in fp32; `auto` does so on a GPU that
    has it. A result of `auto` depends on the machine, and the ledger says which it was."""

    compile: CompileKind = "off"
    """`torch.compile` the encoder's blocks, with CUDA graphs where asked (windows of one length
    only: each new shape is a new graph). On CPUs it was slower; see docs/findings.md."""

    validate_every: PositiveInt = 500
    """Steps between looks at the validation days; the end of an epoch is always one."""

    patience: NonNegativeInt = 0
    """Stop after so many looks without a better one; 0 goes to the end."""

    select_by: Literal["val/recall_mean", "val/total_loss", "val/clip_loss", "val/ndcg_mean"] = (
        "val/recall_mean"
    )
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

    @model_validator(mode="after")
    def _graphs_want_one_length(self) -> Self:
        if self.optim.compile == "cuda_graphs" and self.data.windows.kind == "fixed_duration":
            raise ValueError("optim.compile=cuda_graphs wants windows of one length (fixed_length)")
        return self


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

    backend: Names = ("wandb",)
    """Views of the ledger: `wandb`, `tensorboard` (event files in the run's folder), or both."""

    log_parameters: bool = True
    """Histograms of the weights."""

    log_gradients: bool = False
    """Histograms of the gradients."""

    watch_every: PositiveInt = 100
    """Steps between histograms."""

    log_graph: bool = False
    """The parts of the model and the shapes of their weights, once."""

    log_model: bool = False
    """Send the best model to W&B as a versioned artifact; off, weights stay here."""

    code_snapshot: bool = True
    """Keep with the run the code that git tracks, and its difference from the commit; never data.
    It goes to W&B with the run."""

    @model_validator(mode="after")
    def _known_backends(self) -> Self:
        unknown = sorted(set(self.backend) - {"wandb", "tensorboard"})
        if unknown:
            raise ValueError(f"backend knows wandb and tensorboard, not {', '.join(unknown)}")
        return self


class Setup(Settings):
    """The three together: what a command line's `path=value` words are read into."""

    recipe: Recipe = Recipe()
    machine: Machine = Machine()
    tracking: Tracking = Tracking()
