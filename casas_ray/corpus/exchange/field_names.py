"""What other pipelines call the fields of an event, in events and in vocabularies."""

from collections.abc import Mapping, Sequence

from casas_ray.corpus.exchange.shapes import Sample

ALIASES: Mapping[str, tuple[str, ...]] = {
    "sensor": ("sensor_id", "sensor"),
    "room": ("room_id", "room"),
    "state": ("event_type", "state"),
    "sensor_type": ("sensor_type",),
    "time_of_day": ("tod_bucket", "tod", "time_of_day"),
    "time_gap": ("delta_t_bucket", "time_delta_bucket", "time_gap"),
    "day_of_week": ("dow", "dow_bucket", "day_of_week"),
    "floor": ("floor_id", "floor"),
}
_SPECIAL = frozenset({"PAD", "UNK", "MASK", "CLS", "SEP", "BOS", "EOS"})


def names_in(samples: Sequence[Sample]) -> dict[str, str]:
    """What these samples call each field: the name of their shape, or another that they have."""
    return {
        field: next((name for name in (usual, *ALIASES[field]) if carries(samples, name)), usual)
        for field, usual in samples[0].names.items()
    }


def carries(samples: Sequence[Sample], name: str) -> bool:
    """Whether any event of the samples has a field of that name."""
    return any(name in event for sample in samples for event in sample.events)


def is_special(value: str) -> bool:
    """Whether a vocabulary's value is a token: `[PAD]`, `<unk>`, `UNK`; a bare `unk` is a word."""
    bare = value.strip("[]<>")
    return bare.upper() in _SPECIAL and (value.upper() == value or value != bare)


def is_missing(value: object) -> bool:
    """Whether a field says that it has no value: null, NaN, or a token for it."""
    return value is None or value == "" or (isinstance(value, str) and is_special(value))
