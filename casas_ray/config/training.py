"""Losses, masks, and the optimiser's steps."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from casas_ray.config.base import Count, CountOrNone, Fraction, Settings, Share


class LossConfig(Settings):
    """What is added up, and how sharp the contrast is."""

    clip_weight: NonNegativeFloat = 0.7
    """Weight of the contrastive loss, both ways."""

    mlm_weight: NonNegativeFloat = 0.3
    """Weight of the masked-event loss. Events are masked at 0 too, so that only the weight
    varies."""

    aggregates_weight: NonNegativeFloat = 0.0
    """Weight of telling from the window's vector, by a linear map, what is counted of the window:
    its events by sensor and state, its duration and gaps, the hour, dwells and transitions, all
    standardised over training windows."""

    neighbours_weight: NonNegativeFloat = 0.0
    """Weight of telling the same, by a small network, of the windows two and four before and after
    it on the same day."""

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

    bank_size: CountOrNone = 0
    """Pairs of earlier steps that serve as further negatives; 0 keeps none. Never a pair with the
    row's own caption or an overlapping window. Kept in the checkpoint."""

    bank_hardest: Count = 32
    """Of those, each row takes the so many that are most like it."""

    temperature_init: PositiveFloat = 0.03
    """What similarities are divided by, at the start; smaller is a sharper contrast."""

    temperature_learnable: bool = True
    """Whether training moves it."""

    temperature_min: PositiveFloat = 0.01
    """The least that training moves it to."""

    temperature_max: PositiveFloat = 0.5
    """The most that training moves it to."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        low, start, high = self.temperature_min, self.temperature_init, self.temperature_max
        if not low <= start <= high:
            raise ValueError(f"temperature_init {start} lies outside {low} to {high}")
        if self.kind == "sigmoid" and (self.bank_size or self.soft_targets):
            raise ValueError("a sigmoid loss takes neither bank_size nor soft_targets")
        return self

    @property
    def counts(self) -> bool:
        """Whether anything that is counted of windows is asked for."""
        return self.aggregates_weight > 0.0 or self.neighbours_weight > 0.0


class HideConfig(Settings):
    """Chance that a masked event hides something; what tells each other is hidden together."""

    sensor: Share = 1.0
    """The sensor, and with it room, sensor_type, floor and position."""

    state: Share = 1.0
    """The value, such as ON or OPEN."""

    time_of_day: Share = 1.0
    """The time of day, and with it day_of_week."""

    time_gap: Share = 1.0
    """The time since the event before, as a bucket and as bins."""

    @property
    def always(self) -> bool:
        """Whether a masked event always hides everything."""
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

    batch_size: Annotated[int, Field(ge=2, le=10**9)] = 64
    """Pairs in a step over all workers: the number of workers must not change the loss."""

    pieces: Count = 1
    """Cut each worker's share of a batch into so many pieces, one in memory at a time; every pair
    still meets all others of the batch (gradient caching, Gao et al. 2021)."""

    epochs: Count = 5
    """Times that every training window is seen."""

    max_steps: Annotated[int | None, Field(ge=1, le=10**9)] = None
    """For a short try: end after so many steps where the epochs have more; null ends with them.
    Warm-up, decay and `masking.grows_from` are over the steps that are taken, and the last of them
    is a look at the validation days."""

    learning_rate: PositiveFloat = 2e-4
    """The highest rate of AdamW, reached after the warm-up."""

    beta1: Fraction = 0.9
    """How much of itself AdamW's mean of gradients keeps each step."""

    beta2: Fraction = 0.98
    """How much of itself AdamW's mean of squared gradients keeps each step."""

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
    """`torch.compile` the way from a batch to its vectors, with CUDA graphs where asked (windows of
    one length only: each new shape is a new graph). Held-out windows go the plain way. On CPUs it
    was slower; see docs/findings.md."""

    validate_every: Count = 500
    """Steps between looks at the validation days; the end of an epoch is always one, and that of
    the training."""

    patience: CountOrNone = 0
    """Stop after so many looks without a better one; 0 goes to the end."""

    select_by: Literal["val/recall_mean", "val/total_loss", "val/clip_loss", "val/ndcg_mean"] = (
        "val/recall_mean"
    )
    """The validation metric that chooses the best checkpoint; losses are best when low."""

    def steps(self, steps_per_epoch: int) -> int:
        """Steps of a whole training."""
        whole = self.epochs * steps_per_epoch
        return whole if self.max_steps is None else min(whole, self.max_steps)
