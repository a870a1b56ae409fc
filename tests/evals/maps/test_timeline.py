"""Days by the time of day: each five minutes go with the window of their last event."""

import dataclasses

import numpy as np
import pyarrow as pa
from support.seen import seen

from casas_ray.evals.maps.timeline import CELLS, Timeline, picture, rows_of, timeline

MINUTE, DAY = 60.0, 86_400.0


def line_of(times: list[float], ranges: list[tuple[int, int]], group: list[int]) -> Timeline:
    windows = seen(times, [0] * len(times), [0] * len(times), ranges)
    table = windows.table.append_column("home", pa.array(["casa"] * len(ranges)))
    return timeline(dataclasses.replace(windows, table=table), np.array(group))


def test_a_short_silence_in_one_cluster_belongs_to_it():
    times = [0.0, 20 * MINUTE, 21 * MINUTE, 40 * MINUTE, 80 * MINUTE]
    found = line_of(times, [(0, 2), (2, 3), (3, 5)], [7, 7, 8])
    cells = found.of(np.array([7, 7, 8]))[0]
    assert cells[:5].tolist() == [7, 7, 7, 7, 7]  # 20 minutes of silence are held
    assert cells[5:8].tolist() == [-1, -1, -1]  # another cluster follows
    assert cells[8] == 8
    assert cells[9:16].tolist() == [-1] * 7  # 40 minutes are not
    assert cells[16] == 8
    assert found.window_DC.shape == (1, CELLS)


def test_a_row_is_a_day_and_nothing_is_held_over_midnight():
    found = line_of([DAY - 7 * MINUTE, DAY + MINUTE, DAY + 2 * MINUTE], [(0, 1), (1, 3)], [1, 1])
    assert found.days == ["1970-01-01", "1970-01-02"]
    assert found.window_DC[0, -2:].tolist() == [0, -1]
    assert found.window_DC[1, :2].tolist() == [1, -1]


def test_dates_stand_beside_as_many_rows_as_there_is_room_for():
    many = Timeline([str(day) for day in range(400)], np.full((400, CELLS), -1))
    days = rows_of(many, [picture("empty", many, np.zeros(0, np.int64), ["#000000"], [])])
    assert days.row_high == 3.0
    assert [date for _, date in days.marks[:3]] == ["0", "6", "12"]
    few = Timeline(["a", "b"], np.full((2, CELLS), -1))
    assert [date for _, date in rows_of(few, []).marks] == ["a"]
