"""The files of a set that nobody trains on: events, activities, and lines that were not used."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from casas_ray.corpus.activities import resident_of
from casas_ray.corpus.clean import Cleaned
from casas_ray.corpus.raw_log import RawLog
from casas_ray.names import cell

Homes = Sequence[tuple[str, RawLog, Cleaned]]
_LONGEST_TEXT = 200


def write_events(folder: Path, homes: Homes) -> None:
    """Write `events.parquet`: every event that windows are cut from, home after home."""
    tables = []
    for name, _, cleaned in homes:
        events = cleaned.events
        coded = {"sensor": events.sensor, "state": events.state, "label": events.label}
        columns: dict[str, pa.Array] = {
            "home": pa.array([name] * len(events)).dictionary_encode(),
            "time_us": pa.array(events.time_us),
            "line": pa.array(events.line),
        }
        for field, column in coded.items():
            columns[field] = pa.DictionaryArray.from_arrays(column.codes, list(column.names))
        tables.append(pa.table(columns))
    pq.write_table(
        pa.concat_tables(tables).unify_dictionaries(), folder / "events.parquet", compression="zstd"
    )


def write_activities(folder: Path, homes: Homes) -> None:
    """Write `activities.parquet`: every annotated activity with its resident, events and times."""
    names = [name for name, _, cleaned in homes for _ in cleaned.activities]
    offsets = np.cumsum([0, *(len(cleaned.events) for _, _, cleaned in homes)]).tolist()
    # Event indices count on from home to home, as in events.parquet.
    shifted = [
        (activity, offset)
        for (_, _, cleaned), offset in zip(homes, offsets[:-1], strict=True)
        for activity in cleaned.activities
    ]
    columns = {
        "home": pa.array(names, pa.string()),
        "activity": pa.array([activity.label for activity, _ in shifted], pa.string()),
        "resident": pa.array([resident_of(activity.label) for activity, _ in shifted], pa.string()),
        "first_event": pa.array(
            [activity.first_event + first for activity, first in shifted], pa.int64()
        ),
        "last_event": pa.array(
            [activity.last_event + first for activity, first in shifted], pa.int64()
        ),
        "begin_us": pa.array([activity.begin_us for activity, _ in shifted], pa.int64()),
        "end_us": pa.array([activity.end_us for activity, _ in shifted], pa.int64()),
    }
    pq.write_table(pa.table(columns), folder / "activities.parquet", compression="zstd")


def write_quarantine(folder: Path, homes: Homes) -> None:
    """Write `quarantine.tsv`: every line not used once, with its number and the reason."""
    path = folder / "quarantine.tsv"
    with path.open("w", encoding="utf-8", errors="backslashreplace") as out:
        out.write("home\tline\treason\ttext\n")
        for name, log, cleaned in homes:
            for row in sorted([*log.rejected, *cleaned.dropped]):
                text = _quoted(row.text[:_LONGEST_TEXT])
                out.write(f"{name}\t{row.number}\t{cell(row.reason)}\t{text}\n")


def _quoted(text: str) -> str:
    # repr, so that a tab, a line break or a control character stays in its cell; in single quotes
    # always, for a spreadsheet takes double ones away, and runs what then begins with `=`.
    return "'" + repr('"' + text)[2:]
