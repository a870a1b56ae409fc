"""Several homes in one set, a home left out, windows by time and by segment, written captions.
Simulated homes and synthetic logs."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from casas_ray.config import DataConfig, Recipe
from casas_ray.corpus.alignment import PreparedSet, flat
from casas_ray.corpus.exchange.shape_a import write_shape_a
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.inventory import read_window
from casas_ray.corpus.prepare import prepare
from casas_ray.corpus.vocab import UNK
from casas_ray.errors import DataError, SettingsError
from casas_ray.loader.training_data import TrainingData

TWO_HOMES = {"simulated": True, "homes": "milan,aruba", "simulate": {"days": 4}}


def made(**changes: object) -> PreparedSet:
    config = DataConfig.build({**TWO_HOMES, **changes})
    return prepare(config, logs_for(config))


@pytest.fixture(scope="module")
def both() -> PreparedSet:
    return made()


def test_sensors_are_told_apart_by_home_and_rooms_are_shared(both: PreparedSet):
    values = both.vocabulary.values
    assert {name.partition(".")[0] for name in values["sensor"][3:]} == {"milan", "aruba"}
    assert "milan.M001" in values["sensor"]
    assert values["room"].count("kitchen") == 1
    train = both.windows("train")
    homes = np.array(train.column("home").to_pylist())
    assert set(homes) == {"milan", "aruba"}
    kitchen = values["room"].index("kitchen")
    per_home = {
        home: (flat(train.filter(homes == home), "id_room") == kitchen).any() for home in set(homes)
    }
    assert all(per_home.values())


def test_every_window_can_be_traced_to_the_lines_of_its_own_log(both: PreparedSet):
    events = pq.read_table(both.folder / "events.parquet")
    row = both.windows("val").slice(both.windows("val").num_rows - 1, 1).to_pylist()[0]
    own = events.slice(row["first_event"], row["length"]).to_pylist()
    assert {event["home"] for event in own} == {row["home"]} == {"aruba"}
    log = logs_for(DataConfig.build(TWO_HOMES))["aruba"].read_text().splitlines()
    said = [f"{log[event['line'] - 1].split(chr(9))[1]}" for event in own]
    names = both.vocabulary.values["sensor"]
    assert [f"aruba.{name}" for name in said] == [names[code] for code in row["id_sensor"]]
    assert row["id"] == f"aruba:{own[0]['line']}+{row['length']}"


def test_a_home_left_out_trains_nothing_and_makes_all_of_the_test(both: PreparedSet):
    left_out = made(split={"kind": "leave_home_out", "held_out": "aruba"})
    homes = {
        split: set(left_out.windows(split).column("home").to_pylist())
        for split in ("train", "val", "test")
    }
    assert homes == {"train": {"milan"}, "val": {"milan"}, "test": {"aruba"}}
    assert not any(name.startswith("aruba") for name in left_out.vocabulary.values["sensor"])
    assert (flat(left_out.windows("test"), "id_sensor") == UNK).all()
    assert not (flat(left_out.windows("test"), "id_room") == UNK).all()
    assert left_out.caveats == ("SIMULATED home", "home aruba left out")


def test_a_home_without_positions_or_floors_mixes_with_one_that_has_them(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    homes = tmp_path / "data" / "homes"
    homes.mkdir(parents=True)
    sensors = '[sensors]\nA = {type="motion", room="kitchen", xy=[1, 2], floor="2", near="stove"}\n'
    (homes / "tall.toml").write_text('home = "tall"\n' + sensors)
    logs = {}
    for home, sensor in (("tall", "A"), ("flat", "Bathroom")):
        logs[home] = tmp_path / home
        logs[home].write_text(
            "".join(
                f"2009-10-{day:02d} 10:{minute:02d}:00 {sensor} ON\n"
                for day in range(1, 5)
                for minute in range(30)
            )
        )
    prepared = prepare(DataConfig(homes=("tall", "flat")), logs)
    assert prepared.vocabulary.values["floor"][3:] == ("2", "unknown")
    train = prepared.windows("train").to_pylist()
    assert not any(np.isnan(row["x"]).any() for row in train if row["home"] == "tall")
    assert all(np.isnan(row["x"]).all() for row in train if row["home"] == "flat")


def test_windows_of_a_minute_have_many_lengths_and_batches_pad_to_their_own_longest():
    prepared = made(homes="milan", windows={"kind": "fixed_duration", "seconds": 60})
    length = prepared.lengths("train")
    assert len(set(length.tolist())) > 10
    recipe = Recipe().replace({"optim.batch_size": 32})
    vectors = np.zeros((len(prepared.captions()), 4), dtype=np.float32)
    loader = TrainingData(prepared, vectors).loader(recipe, torch.device("cpu"))
    batches = loader.batches(start=0)
    seen = [next(batches) for _ in range(20)]
    assert len({batch.real_BL.shape[1] for batch in seen}) > 5
    for batch in seen:
        assert int(batch.real_BL.sum(1).max()) == batch.real_BL.shape[1]
        assert (batch.ids_BLF[~batch.real_BL] == 0).all()
        assert not batch.masked_BL[~batch.real_BL].any()
        wanted = (0.3 * batch.real_BL.sum(1)).round().clamp(min=1)
        assert torch.equal(batch.masked_BL.sum(1).float(), wanted)


def test_windows_within_segments_have_one_label_and_say_that_they_needed_it():
    prepared = made(homes="milan", windows={"presegmented": True})
    train = prepared.windows("train")
    assert all(len(labels) == 1 for labels in train.column("labels").to_pylist())
    assert "ORACLE windows" in prepared.caveats


def captions_for(prepared: PreparedSet, path: Path, *, change: str = "") -> Path:
    rows = [
        {"sample_id": name, "captions": [f"{name} said once", f"{name} said twice"]}
        for split in ("train", "val", "test")
        for name in prepared.windows(split).column("id").to_pylist()
    ]
    if change == "left over":
        rows.append({"sample_id": "milan:1+9999", "captions": ["of no window"]})
    elif change == "missing":
        rows.pop(3)
    elif change == "twice":
        rows.append(rows[3])
    elif change == "empty":
        rows[3]["captions"] = []
    path.write_text(json.dumps({"captions": rows}))
    return path


def test_captions_from_a_file_find_their_windows_whatever_their_order(tmp_path: Path):
    plain = made(homes="milan")
    path = captions_for(plain, tmp_path / "captions.json")
    content = json.loads(path.read_text())
    content["captions"].reverse()
    path.write_text(json.dumps(content))
    prepared = made(homes="milan", captions={"file": str(path)})
    for place in (0, 7):
        window = read_window(prepared, place)
        name = prepared.windows("train").column("id")[place].as_py()
        assert window.captions == [f"{name} said once", f"{name} said twice"]
    assert prepared.manifest["captions"]["shared_by_split"]["train"] == 0.0


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("left over", "sample_id 'milan:1+9999' is no window of this set (1 such)"),
        ("missing", "has no captions for window 'milan:"),
        ("twice", "has captions already"),
        ("empty", "sample 3: wanted 'captions', a list of one text or more"),
    ],
)
def test_captions_that_do_not_fit_the_windows_are_refused(tmp_path: Path, change: str, wanted: str):
    path = captions_for(made(homes="milan"), tmp_path / "captions.json", change=change)
    with pytest.raises(DataError) as caught:
        made(homes="milan", captions={"file": str(path)})
    assert wanted in caught.value.problem


def test_diversity_counts_windows_that_share_a_caption():
    structured = made(homes="milan", captions={"style": "structured"}).manifest["captions"]
    natural = made(homes="milan").manifest["captions"]
    assert natural["distinct"] > structured["distinct"]
    assert 0.0 <= natural["shared_by_split"]["train"] < 0.5


def test_homes_that_do_not_fit_are_refused():
    for wrong in (
        {"homes": ""},
        {"homes": "milan,milan"},
        {"homes": "milan", "split": {"kind": "leave_home_out", "held_out": "milan"}},
        {"homes": "milan,aruba", "split": {"kind": "leave_home_out", "held_out": "cairo"}},
    ):
        with pytest.raises(SettingsError):
            DataConfig.build(wrong)


def test_a_set_written_as_json_and_read_again_is_the_same_windows():
    from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json

    ours = made(homes="milan")
    folder = write_shape_a(ours)
    assert write_shape_a(ours) == folder
    back = prepare_json(JsonFiles.beside(folder / "train.json"))
    assert back.manifest["windows"] == ours.manifest["windows"]
    for split in ("train", "val", "test"):
        one, two = ours.windows(split), back.windows(split)
        for column in ("length", "label", "id"):
            assert one.column(column).equals(two.column(column))
        for field, values in ours.vocabulary.values.items():
            mine = [values[code] for code in flat(one, f"id_{field}")]
            theirs = [back.vocabulary.values[field][code] for code in flat(two, f"id_{field}")]
            assert mine == theirs
        np.testing.assert_allclose(flat(one, "gap_seconds"), flat(two, "gap_seconds"))
        assert (
            np.abs(one.column("start_us").to_numpy() - two.column("start_us").to_numpy()).max()
            <= 1000
        )
    mine, theirs = ours.captions(), back.captions()
    first = flat(ours.windows("val"), "captions")[0], flat(back.windows("val"), "captions")[0]
    assert mine[first[0]] == theirs[first[1]]


def test_a_set_written_as_json_tells_the_time_of_every_event_and_the_coarse_activity():
    ours = made(homes="milan")
    events = pq.read_table(ours.folder / "events.parquet").column("time_us").to_numpy()
    samples = json.loads((write_shape_a(ours) / "val.json").read_text())
    firsts = ours.windows("val").column("first_event").to_pylist()
    for sample, first in zip(samples, firsts, strict=True):
        found = np.array([event["timestamp"] for event in sample["events"]])
        assert np.abs(found - events[first : first + len(found)] / 1000).max() <= 2.0  # ms
    coarse = {sample["first_activity"]: sample["first_activity_l2"] for sample in samples}
    assert (coarse["Sleep"], coarse["Watch_TV"]) == ("Sleep", "Relax")
