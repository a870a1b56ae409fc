"""The frozen text tower, and the encoder beside it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from casas_ray.config.base import Names, Settings, Size


class TextConfig(Settings):
    """The frozen text tower."""

    model: str = "minilm-l6"
    """`minilm-l6`, or any transformers encoder by hub name or path."""

    max_tokens: Annotated[int, Field(ge=8, le=512)] = 128
    """A longer caption is cut here."""


class ModelConfig(Settings):
    """The event encoder, and the two projections into the space it shares with captions."""

    width: Size = 512
    """Size of an event's vector."""

    layers: Size = 4
    """Transformer blocks, one after another."""

    heads: Size = 8
    """Attention heads of a block; the width divides by them."""

    feed_forward: Size = 2048
    """Size of the hidden layer between two attentions."""

    dropout: Annotated[float, Field(ge=0.0, le=0.99)] = 0.3
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

    time_harmonics: Annotated[int, Field(ge=0, le=32)] = 0
    """Show the time of day as sine and cosine of once, twice ... so many times round the clock, and
    the logarithm of the gap as a number beside its bin. 0 leaves both to the fields."""

    state_token: bool = False
    """Tell the class token how long ago each sensor last fired and what it said then, as of the
    first event that is read. It remembers nothing from before its split's days, so at their start
    it is empty. It reads the past, also of a window without context."""

    embedding: Size = 512
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
        if self.time_harmonics and self.fields and "time_of_day" not in self.fields:
            raise ValueError("time_harmonics show the time of day, which fields leaves out")
        return self


SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 192, "layers": 2, "heads": 3, "feed_forward": 768},
    "small": {"width": 256, "layers": 4, "heads": 4, "feed_forward": 1024},
    "baseline": {"width": 512, "layers": 4, "heads": 8, "feed_forward": 2048},
    "medium": {"width": 512, "layers": 6, "heads": 8, "feed_forward": 2048},
    "large": {"width": 768, "layers": 6, "heads": 8, "feed_forward": 3072},
}
"""Named sizes of the encoder, as changes to `model`."""
