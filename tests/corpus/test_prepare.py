"""The prepared set: what it holds, that it repeats, and that nothing of test days leaks into it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.recipes import REAL_LOG, needs_real_log

from casas_ray.config import DataConfig
from casas_ray.corpus.alignment import PreparedSet, flat
from casas_ray.corpus.bringing import link_log
from casas_ray.corpus.events import US_PER_SECOND, Coded, Events
from casas_ray.corpus.fetch import log_at_hand, logs_for
from casas_ray.corpus.homes import derived_home
from casas_ray.corpus.prepare import prepare as prepare_logs
from casas_ray.corpus.vocab import PAD, UNK, Vocabulary, field_columns, part_of_day
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import new_folder
from casas_ray.loader.window_store import WindowStore


def prepare(config: DataConfig, log: Path) -> PreparedSet:
    """The set of the one home that the settings name."""
    return prepare_logs(config, {config.homes[0]: log})


def column(table: pa.Table, name: str) -> list[list[float]]:
    """A list column as Python lists."""
    return table.column(name).to_pylist()


def written(path: Path, days: int, *, last_sensor: str = "M012") -> Path:
    """A classic log of Milan with 40 events a day; the last day's come from another sensor too."""
    with path.open("w") as out:
        for day in range(days):
            for event in range(40):
                late = day == days - 1 and event % 2
                sensor = last_sensor if late else f"M0{12 + event % 4}"
                state = "ON" if event % 2 == 0 else "OFF"
                out.write(f"2009-10-{day + 1:02d} 10:{event:02d}:00\t{sensor}\t{state}\n")
    return path


def test_windows_hold_what_the_log_says(tmp_path: Path):
    prepared = prepare(DataConfig(), written(tmp_path / "log", 4))
    train = prepared.windows("train")
    assert prepared.manifest["homes"]["milan"]["days"]["train"] == ["2009-10-01", "2009-10-02"]
    assert prepared.manifest["windows"] == {"train": 7, "val": 3, "test": 3}
    sensors = prepared.vocabulary.values["sensor"]
    first = [sensors[code] for code in column(train, "id_sensor")[0]]
    assert first == ["M012", "M013", "M014", "M015"] * 5
    assert column(train, "gap_seconds")[0] == [0.0] + [60.0] * 19
    # The second window starts ten events in, and its first gap reaches back across its start.
    assert column(train, "gap_seconds")[1][0] == 60.0


def test_a_window_has_the_weekday_of_its_events(tmp_path: Path):
    prepared = prepare(DataConfig(), written(tmp_path / "log", 4))
    days = prepared.vocabulary.values["day_of_week"]
    first, *_, last = column(prepared.windows("train"), "id_day_of_week")
    # 2009-10-01 was a Thursday.
    assert ({days[code] for code in first}, {days[code] for code in last}) == (
        {"thursday"},
        {"friday"},
    )


def test_ids_stand_in_alphabetical_order_after_the_special_ones():
    columns = {"state": Coded.of(["ON", "OPEN", "CLOSE", "OFF", "ABSENT", "PRESENT"])}
    assert Vocabulary.fit([columns]).values["state"] == (
        *("[PAD]", "[UNK]", "[MASK]"),
        *("ABSENT", "CLOSE", "OFF", "ON", "OPEN", "PRESENT"),
    )


def test_a_value_that_training_days_never_show_is_unknown_later(tmp_path: Path):
    prepared = prepare(DataConfig(), written(tmp_path / "log", 4, last_sensor="M021"))
    assert "M021" not in prepared.vocabulary.values["sensor"]
    assert (flat(prepared.windows("test"), "id_sensor") == UNK).sum() > 0
    assert (flat(prepared.windows("train"), "id_sensor") == UNK).sum() == 0


def test_a_short_last_window_is_kept_and_padded_with_pad_nan_and_zero_in_a_batch(tmp_path: Path):
    config = DataConfig().replace({"windows.length": 24, "windows.overlap": 0.0})
    prepared = prepare(config, written(tmp_path / "log", 4))
    test = prepared.windows("test")
    assert test.column("length").to_pylist() == [24, 16]
    assert len(column(test, "id_room")[1]) == 16
    found = WindowStore.of(test).records(np.array([0, 1]), 24)
    assert (found["ids"][0] != PAD).all()
    assert (found["ids"][1, 16:] == PAD).all()
    assert np.isnan(found["xy"][1, 16:]).all()
    assert (found["gap_seconds"][1, 16:] == 0).all()
    # Also where the events of another window follow in the store.
    before = WindowStore.of(test.take([1, 0])).records(np.array([0]), 24)
    assert (before["ids"][0, :16] == found["ids"][1, :16]).all()
    assert (before["ids"][0, 16:] == PAD).all()
    assert (before["gap_seconds"][0, 16:] == 0).all()


def test_positions_are_scaled_by_the_home_not_by_the_file(tmp_path: Path):
    prepared = prepare(DataConfig(), written(tmp_path / "log", 4))
    train = prepared.windows("train")
    first = [column(train, name)[0][0] for name in "xy"]
    assert first == pytest.approx([1570 / 2507, 401 / 2507], rel=1e-6)  # M012


def test_preparing_again_changes_nothing_and_other_settings_make_another_set(tmp_path: Path):
    log = written(tmp_path / "log", 4)
    first = prepare(DataConfig(), log)
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    assert prepare(DataConfig(), log).folder == first.folder
    assert (first.folder / "manifest.json").stat().st_mtime_ns == stamp
    other = prepare(DataConfig().replace({"windows.length": 30}), log)
    assert other.folder != first.folder


def test_two_preparations_of_one_log_are_equal_byte_for_byte(tmp_path: Path, monkeypatch):
    log = written(tmp_path / "log", 4)
    files = []
    for name in ("a", "b"):
        monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / name))
        folder = prepare(DataConfig(), log).folder
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert files[0] == files[1]


def test_a_set_that_could_not_be_finished_leaves_nothing(tmp_path: Path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "set") as draft:
        (draft / "half").write_text("x")
        raise RuntimeError("the disk is full")
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_a_window_is_refused(tmp_path: Path):
    config = DataConfig().replace({"windows.length": 60, "windows.min_events": 50})
    with pytest.raises(DataError, match="split 'val' has no window of 50 events"):
        prepare(config, written(tmp_path / "log", 4))


def test_plain_pyarrow_reads_the_windows(tmp_path: Path):
    prepared = prepare(DataConfig(), written(tmp_path / "log", 4))
    table = pq.read_table(prepared.folder / "train.parquet")
    assert table.num_rows == 7
    assert table.column("id_sensor")[0].as_py()[:2] == [3, 4]


def test_no_log_at_hand_says_where_to_get_it_and_offers_the_simulated_home():
    with pytest.raises(DataError) as caught:
        logs_for(DataConfig(homes=("cairo",)))
    assert caught.value.exit_code == 3
    assert "cairo.zip" in caught.value.hint
    assert "--simulated" in caught.value.hint


def test_a_linked_log_is_found_and_a_real_one_is_never_replaced(data_root: Path, tmp_path: Path):
    log = written(tmp_path / "log", 4)
    link_log("myhome", log)
    assert log_at_hand("myhome").samefile(log)
    link_log("myhome", written(tmp_path / "other", 5))
    assert log_at_hand("myhome").samefile(tmp_path / "other")
    (data_root / "raw" / "full").mkdir()
    (data_root / "raw" / "full" / "data").write_text("precious")
    with pytest.raises(RefusedError):
        link_log("full", log)
    assert (data_root / "raw" / "full" / "data").read_text() == "precious"


def test_a_homes_name_cannot_leave_the_data_folder(tmp_path: Path):
    with pytest.raises(RefusedError) as caught:
        link_log("../../x", written(tmp_path / "log", 4))
    assert caught.value.exit_code == 8


def test_the_set_of_a_simulated_home_says_so(small_set: PreparedSet):
    assert small_set.simulated
    assert "simulated" in small_set.folder.name


@needs_real_log
def test_the_real_log_goes_through_with_every_line_accounted_for():
    prepared = prepare(DataConfig(homes=("al_smarthome",)), REAL_LOG)
    manifest = prepared.manifest["homes"]["al_smarthome"]
    assert manifest["log"] == {"name": "data.txt", "shape": "labelled", "lines": 61_578}
    assert manifest["used"] == 61_578
    assert manifest["quarantined"] == manifest["dropped_by_type"] == {}
    assert {split: len(days) for split, days in manifest["days"].items()} == {
        "train": 21,
        "val": 3,
        "test": 6,
    }
    events = pq.read_table(prepared.folder / "events.parquet")
    assert events.column("label").to_pylist().count("Sleep") == 2695
    assert events.column("line").to_pylist() == list(range(1, 61_579))


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0.0, "dt_0"),
        (0.001, "dt_lt1min"),
        (59.999, "dt_lt1min"),
        (60.0, "dt_1_2min"),
        (120.0, "dt_2_5min"),
        (300.0, "dt_5_10min"),
        (600.0, "dt_10_30min"),
        (1800.0, "dt_gt30min"),
    ],
)
def test_gap_buckets_start_at_their_lower_end(seconds: float, bucket: str):
    later = 1_000_000 * US_PER_SECOND  # any time of any day
    times = np.array([later, later + round(seconds * US_PER_SECOND)])
    lines, states = np.arange(1, 3), Coded.of(["ON", "OFF"])
    events = Events(times, lines, Coded.of(["M1", "M1"]), states, Coded.of(["-", "-"]))
    home = derived_home("toy", rooms={"M1": "kitchen"}, types={})
    column = field_columns(events, home)["time_gap"]
    assert [column.names[code] for code in column.codes] == ["dt_0", bucket]


def test_every_hour_has_its_part_of_day():
    parts = [part_of_day(hour) for hour in range(24)]
    assert [parts.count(part) for part in dict.fromkeys(parts)] == [5, 3, 4, 5, 4, 3]


def test_pad_unk_and_mask_are_ids_of_their_own(small_set: PreparedSet):
    vocabulary: Vocabulary = small_set.vocabulary
    for values in vocabulary.values.values():
        assert values[:3] == ("[PAD]", "[UNK]", "[MASK]")
        assert len(set(values)) == len(values)
