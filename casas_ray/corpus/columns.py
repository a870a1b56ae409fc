"""Windows of one home's events as columns of the alignment set's schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.alignment import WindowColumns
from casas_ray.corpus.events import Coded, Events
from casas_ray.corpus.homes import Home
from casas_ray.corpus.vocab import Vocabulary
from casas_ray.corpus.windows import Windows, label_shares


@dataclass(frozen=True)
class DescribedEvents:
    """The events of one home with every field of theirs."""

    name: str
    events: Events
    home: Home
    columns: Mapping[str, Coded]
    first_event: int = 0
    """The index of the first event among those of all homes of the set."""


def window_names(home: str, events: Events, windows: Windows) -> list[str]:
    """The id of each window, such as `milan:1203+20`: line of its first event, number of events."""
    # Files of captions from elsewhere refer to these ids.
    lines, lengths = events.line[windows.first].tolist(), windows.length.tolist()
    return [f"{home}:{line}+{count}" for line, count in zip(lines, lengths, strict=True)]


def window_columns(
    described: DescribedEvents,
    windows: Windows,
    vocabulary: Vocabulary,
    captions: Sequence[NDArray[np.int32]],
    sensor_text: NDArray[np.int32],
) -> WindowColumns:
    """The windows with the ids of the vocabulary.

    `captions` has the ids of each window's captions; `sensor_text`, by sensor code, the id of the
    sensor in words.
    """
    events, rows = described.events, windows.rows()
    shares = label_shares(windows, events.label)
    return WindowColumns(
        id=window_names(described.name, events, windows),
        home=[described.name] * len(windows),
        first_event=windows.first + described.first_event,
        start_us=events.time_us[windows.first],
        length=windows.length.astype(np.int16),
        ids={
            field: vocabulary.encode(field, described.columns[field])[rows]
            for field in vocabulary.fields
        },
        # Gaps of the whole log, not of the window: its first event keeps what came before it.
        gap_seconds=events.gap_seconds[rows].astype(np.float32),
        xy=_positions(events, described.home)[events.sensor.codes[rows]],
        sensor_text=sensor_text[events.sensor.codes[rows]],
        caption_ids=captions,
        label=[row[0][0] for row in shares],
        shares=shares,
    )


def _positions(events: Events, home: Home) -> NDArray[np.float32]:
    """By sensor code: its position, or NaN."""
    position = scaled_positions(home)
    nowhere = (np.nan, np.nan)
    return np.array([position.get(name, nowhere) for name in events.sensor.names], np.float32)


def scaled_positions(home: Home) -> dict[str, tuple[float, float]]:
    """Sensor positions on the home's floor plan, from 0 to 1 along its longer side.

    The scale is the home's, not a file's: train and test days share it.
    """
    placed = {name: sensor.xy for name, sensor in home.sensors.items() if sensor.xy}
    longest = max((max(xy) for xy in placed.values()), default=1.0)
    return {name: (x / longest, y / longest) for name, (x, y) in placed.items()}
