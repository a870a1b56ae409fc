"""The two shapes of alignment JSON: one window of a file, checked, whichever shape it has."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from casas_ray.corpus.events import NO_ACTIVITY
from casas_ray.corpus.exchange.json_stream import Json
from casas_ray.errors import DataError

# Field names that other pipelines write; a format that is out in the world.
SHAPE_A = {
    "sensor": "sensor_id",
    "room": "room_id",
    "state": "event_type",
    "sensor_type": "sensor_type",
    "time_of_day": "tod_bucket",
    "time_gap": "delta_t_bucket",
    "day_of_week": "dow",
    "floor": "floor_id",
}
SHAPE_B = SHAPE_A | {
    "room": "room",
    "time_gap": "time_delta_bucket",
    "day_of_week": "dow_bucket",
}
_CAPTION_LISTS = ("captions", "long_captions", "short_captions")


@dataclass(frozen=True)
class Sample:
    """One window of a file, checked."""

    where: str
    id: str
    names: Mapping[str, str]
    """What the shape calls each field."""

    events: list[dict[str, Json]]
    captions: tuple[str, ...]
    shares: list[tuple[str, float]]
    """Its labels, the window's own first."""

    caveats: tuple[str, ...] = ()
    """What every table made from it has to say of it, such as SIMULATED home."""


def sample_of(value: Json, where: str, captions: Mapping[str, tuple[str, ...]] | None) -> Sample:
    """A sample of either shape, checked; `captions` by sample id, where a file has them apart.

    Raises:
        DataError: a field is missing or of another kind; the error names the sample and the field.
    """
    if isinstance(value, dict) and "sensor_sequence" in value:
        return _sample_b(value, where, captions)
    return _sample_a(value, where)


def _sample_a(value: Json, where: str) -> Sample:
    events = _events(value, "events", where)
    texts = [text for name in _CAPTION_LISTS for text in _list(value, name, where)]
    label = _text(value, "first_activity", where) or NO_ACTIVITY
    name = _sample_id(value, where) if "sample_id" in value else where.rpartition(": ")[2]
    captions, caveats = _texts(texts, where), _caveats(value, where)
    return Sample(where, name, SHAPE_A, events, captions, [(label, 1.0)], caveats)


def _sample_b(
    value: dict[str, Json], where: str, captions: Mapping[str, tuple[str, ...]] | None
) -> Sample:
    events = _events(value, "sensor_sequence", where)
    name = _sample_id(value, where)
    texts = captions.get(name) if captions is not None else value.get("captions")
    if texts is None:
        raise DataError(
            f"{where}: no captions for sample_id '{name}'.",
            hint="wanted {split}_captions_{style}.json beside the file, with every sample_id.",
        )
    # Those of a file of their own were checked when it was read; here a text would become letters.
    said = list(texts) if captions is not None else _list(value, "captions", where)
    shares, caveats = _shares_b(value, events, where), _caveats(value, where)
    return Sample(where, name, SHAPE_B, events, _texts(said, where), shares, caveats)


def _sample_id(value: dict[str, Json], where: str) -> str:
    name = value.get("sample_id")
    if not isinstance(name, (str, int)) or isinstance(name, bool):
        raise DataError(f"{where}: wanted a 'sample_id', a text or a whole number.")
    return str(name)


def _shares_b(
    value: dict[str, Json], events: list[dict[str, Json]], where: str
) -> list[tuple[str, float]]:
    metadata = value.get("metadata")
    truth = metadata.get("ground_truth_labels") if isinstance(metadata, dict) else None
    primary = _text(truth, "primary_l1", where) if isinstance(truth, dict) else None
    counts = Counter(_text(event, "activity_l1", where) or NO_ACTIVITY for event in events)
    shares = [(label, count / len(events)) for label, count in counts.most_common()]
    # The mode of the events' labels stands first, unless the file names another.
    return sorted(shares, key=lambda pair: pair[0] != primary) if primary else shares


def _events(value: Json, name: str, where: str) -> list[dict[str, Json]]:
    events = value.get(name) if isinstance(value, dict) else None
    if not isinstance(events, list) or not events or set(map(type, events)) != {dict}:
        raise DataError(f"{where}: wanted an object whose '{name}' is a list of objects.")
    return events


def _text(value: dict[str, Json], name: str, where: str) -> str:
    """The text under a name, or an empty one where nothing stands there."""
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise DataError(f"{where}: '{name}' is {text!r:.40}; wanted a text.")
    return text or ""


def _caveats(value: dict[str, Json], where: str) -> tuple[str, ...]:
    caveats = _list(value, "caveats", where)
    if not all(isinstance(text, str) and text.strip() for text in caveats):
        raise DataError(f"{where}: 'caveats' is {caveats!r:.40}; wanted a list of texts.")
    return tuple(str(text) for text in caveats)


def _list(value: dict[str, Json], name: str, where: str) -> list[Json]:
    items = value.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise DataError(f"{where}: '{name}' is {items!r:.40}; wanted a list of texts.")
    return items


def _texts(texts: list[Json], where: str) -> tuple[str, ...]:
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataError(
            f"{where}: wanted at least one caption, all of them text, in 'captions'; found "
            f"{texts!r:.40}."
        )
    return tuple(texts)
