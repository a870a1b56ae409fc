"""Alignment JSON of shape B, with captions in files of their own. All synthetic."""

import json
import math
from pathlib import Path

import pytest

from casas_ray.corpus.exchange.field_names import is_special
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
from casas_ray.errors import DataError, SettingsError

VOCAB = {
    "sensor_id": {"<PAD>": 0, "M001": 2, "M002": 3},
    "room": {"kitchen": 2, "office": 3},
    "event_type": {"ON": 1, "OFF": 2},
    "sensor_type": {"motion": 1},
    "tod_bucket": {"evening": 1},
    "dow_bucket": {"friday": 1},
    "time_delta_bucket": {"dt_lt1min": 1, "dt_2_5min": 2},
}


def event(second: int, activity: str) -> dict:
    return {
        "sensor_id": "M001",
        "event_type": "ON",
        "timestamp": f"2009-10-16T18:00:{second:02d}.500000",
        "room": "kitchen",
        "sensor_type": "motion",
        "sensor_detail": "near the stove",
        "activity_l1": activity,
        "activity_l2": "Other",
        "tod_bucket": "evening",
        "dow_bucket": "friday",
        "time_delta_bucket": "dt_2_5min" if second == 0 else "dt_lt1min",
    }


def sample(number: int) -> dict:
    activities = ["Cook", "Cook", "Wash"]
    return {
        "sample_id": f"w{number}",
        "sensor_sequence": [event(10 * place, name) for place, name in enumerate(activities)],
        "metadata": {"ground_truth_labels": {"primary_l1": "Cook", "primary_l2": "Work"}},
    }


def files(folder: Path, *, styles: tuple[str, ...] = ("llm",), drop: str = "") -> Path:
    (folder / "vocab.json").write_text(json.dumps(VOCAB))
    for split, count in (("train", 5), ("val", 2)):
        about = {"dataset": "milan", "sampling_strategy": "fixed_length", "sampling_params": {}}
        rows = [sample(number) for number in range(count)]
        (folder / f"{split}.json").write_text(
            json.dumps({**about, "split": split, "samples": rows})
        )
        for style in styles:
            captions = [
                {"sample_id": row["sample_id"], "captions": [f"{style} {n}" for n in range(4)]}
                for row in rows
                if row["sample_id"] != drop
            ]
            path = folder / f"{split}_captions_{style}.json"
            path.write_text(json.dumps({"captions": captions}))
    return folder / "train.json"


def test_shape_b_becomes_an_alignment_set(tmp_path: Path):
    prepared = prepare_json(JsonFiles.beside(files(tmp_path)))
    row = prepared.windows("train").to_pylist()[1]
    assert (row["id"], row["label"], row["length"]) == ("w1", "Cook", 3)
    assert row["labels"] == ["Cook", "Wash"]
    assert row["shares"] == pytest.approx([2 / 3, 1 / 3])
    assert row["start_us"] == 1_255_716_000_500_000
    # Before the first event the file knows only two to five minutes.
    assert row["gap_seconds"] == [210.0, 10.0, 10.0]
    texts = prepared.captions()
    assert [texts[code] for code in row["captions"]] == ["llm 0", "llm 1", "llm 2", "llm 3"]
    assert prepared.vocabulary.values["day_of_week"][3:] == ("friday",)


def test_the_label_that_the_file_names_stands_before_the_more_frequent_one(tmp_path: Path):
    train = files(tmp_path)
    content = json.loads(train.read_text())
    content["samples"][0]["metadata"]["ground_truth_labels"]["primary_l1"] = "Wash"
    train.write_text(json.dumps(content))
    row = prepare_json(JsonFiles.beside(train)).windows("train").to_pylist()[0]
    assert (row["label"], row["labels"]) == ("Wash", ["Wash", "Cook"])
    assert row["shares"] == pytest.approx([1 / 3, 2 / 3])


def test_captions_of_several_styles_must_be_chosen_from(tmp_path: Path):
    train = files(tmp_path, styles=("llm", "short"))
    with pytest.raises(SettingsError, match="train_captions_llm"):
        JsonFiles.beside(train)
    prepared = prepare_json(JsonFiles.beside(train, style="short"))
    assert prepared.captions()[0] == "short 0"


def test_a_sample_without_captions_and_a_moment_that_is_none_are_named(tmp_path: Path):
    with pytest.raises(DataError, match="sample 2: no captions for sample_id 'w2'"):
        prepare_json(JsonFiles.beside(files(tmp_path, drop="w2")))
    train = files(tmp_path)
    content = json.loads(train.read_text())
    content["samples"][4]["sensor_sequence"][1]["timestamp"] = "noon"
    train.write_text(json.dumps(content))
    with pytest.raises(DataError, match="sample 4: event 1: 'timestamp' is 'noon'"):
        prepare_json(JsonFiles.beside(train))


@pytest.mark.parametrize("captions", ["some text", {"some": "text"}, 7, [["nested"]], [""], True])
def test_captions_that_are_no_list_of_texts_are_refused_with_file_sample_and_field(
    tmp_path: Path, captions: object
):
    train = files(tmp_path, styles=())
    for split in ("train", "val"):
        content = json.loads((tmp_path / f"{split}.json").read_text())
        for row in content["samples"]:
            row["captions"] = ["one"]
        if split == "train":
            content["samples"][3]["captions"] = captions
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"train\.json: sample 3: .*'captions'"):
        prepare_json(JsonFiles.beside(train))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"caveats": "SIMULATED home"}, "'caveats' is 'SIMULATED home'"),
        ({"caveats": [7]}, "'caveats' is [7]"),
        ({"sample_id": ["w1"]}, "wanted a 'sample_id'"),
        ({"metadata": {"ground_truth_labels": {"primary_l1": ["Cook"]}}}, "'primary_l1' is"),
    ],
)
def test_a_field_of_another_kind_is_named(tmp_path: Path, change: dict, wanted: str):
    train = files(tmp_path)
    content = json.loads(train.read_text())
    content["samples"][1] |= change
    train.write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        prepare_json(JsonFiles.beside(train))
    assert "train.json: sample 1: " in caught.value.problem
    assert wanted in caught.value.problem


def test_what_must_lie_beside_is_named(tmp_path: Path):
    train = files(tmp_path)
    (tmp_path / "vocab.json").unlink()
    with pytest.raises(DataError, match=r"vocab\.json: no such file"):
        JsonFiles.beside(train)


def changed(tmp_path: Path, change, *, vocab: dict | None = None) -> Path:
    """The files after something was done to every event of theirs."""
    train = files(tmp_path)
    for path in tmp_path.glob("*.json"):
        content = json.loads(path.read_text())
        for row in content.get("samples", []):
            row["sensor_sequence"] = [
                change(index, each) for index, each in enumerate(row["sensor_sequence"])
            ]
        path.write_text(json.dumps(content))
    if vocab is not None:
        (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    return train


def test_a_vocabulary_may_call_fields_by_other_names_and_have_bare_tokens(tmp_path: Path):
    names = {"sensor_id": "sensor", "event_type": "state", "room": "room_id"}
    vocab = {names.get(field, field): {**ids, "UNK": 99} for field, ids in VOCAB.items()}
    prepared = prepare_json(JsonFiles.beside(changed(tmp_path, lambda _, each: each, vocab=vocab)))
    assert prepared.vocabulary.values["sensor"] == ("[PAD]", "[UNK]", "[MASK]", "M001", "M002")
    assert prepared.manifest["unknown_values"] == {"train": 0, "val": 0}


def test_positions_are_kept_and_nan_is_none(tmp_path: Path):
    def placed(index: int, each: dict) -> dict:
        return each | {"x": 10.0 * (index + 1), "y": float("nan") if index == 1 else 15.0}

    row = prepare_json(JsonFiles.beside(changed(tmp_path, placed))).windows("train").to_pylist()[0]
    assert row["x"] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert row["y"][0] == 0.5
    assert math.isnan(row["y"][1])


@pytest.mark.parametrize("missing", ["absent", None, "UNK", "[UNK]", float("nan")])
def test_a_field_that_an_event_lacks_is_unknown(tmp_path: Path, missing: object):
    def without(index: int, each: dict) -> dict:
        rest = {name: value for name, value in each.items() if name != "room"}
        return each if index else rest if missing == "absent" else rest | {"room": missing}

    prepared = prepare_json(JsonFiles.beside(changed(tmp_path, without)))
    assert prepared.windows("train").column("id_room")[0].as_py() == [1, 3, 3]
    assert prepared.manifest["unknown_values"] == {"train": 5, "val": 2}


def test_buckets_may_have_hyphens_and_an_unknown_one_is_named(tmp_path: Path):
    def bucket(name: str):
        return lambda index, each: each | ({} if index else {"time_delta_bucket": name})

    gaps = VOCAB["time_delta_bucket"]
    vocab = VOCAB | {"time_delta_bucket": {**gaps, "dt_1-2min": 7, "dt_a_while": 8}}
    train = changed(tmp_path, bucket("dt_1-2min"), vocab=vocab)
    table = prepare_json(JsonFiles.beside(train)).windows("train")
    assert table.column("gap_seconds")[0].as_py() == [90.0, 10.0, 10.0]
    train = changed(tmp_path, bucket("dt_a_while"), vocab=vocab)
    with pytest.raises(DataError, match="event 0: 'time_delta_bucket' is 'dt_a_while'") as caught:
        prepare_json(JsonFiles.beside(train))
    assert "dt_1_2min" in caught.value.hint


def test_a_gap_that_nothing_tells_is_the_windows_usual_one_and_not_none(tmp_path: Path):
    def without(index: int, each: dict) -> dict:
        return each if index else each | {"time_delta_bucket": None}

    table = prepare_json(JsonFiles.beside(changed(tmp_path, without))).windows("train")
    assert table.column("gap_seconds")[0].as_py() == [10.0, 10.0, 10.0]


START = 1_255_716_000_500_000
"""Of the first event, in microseconds since 1970."""


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("seconds", lambda us: us / 1e6),
        ("milliseconds", lambda us: us // 1000),
        ("microseconds", lambda us: us),
        ("nanoseconds", lambda us: us * 1000),
        ("seconds", lambda us: f"{us / 1e6:.6f}"),
        ("milliseconds", lambda us: str(us // 1000)),
        ("an offset", lambda us: "2009-10-16 18:00:00.5+02:00"),
        ("Z", lambda us: "2009-10-16T18:00:00.500Z"),
        ("a comma", lambda us: "2009-10-16 18:00:00,5"),
    ],
)
def test_times_are_told_apart_by_their_range_and_said(tmp_path: Path, unit: str, time):
    def timed(index: int, each: dict) -> dict:
        return each if index else each | {"timestamp": time(START)}

    prepared = prepare_json(JsonFiles.beside(changed(tmp_path, timed)))
    assert prepared.windows("train").column("start_us")[0].as_py() == START
    said = prepared.manifest["notes"]
    if unit.endswith("seconds") and unit != "milliseconds":
        assert said == [f"timestamps are {unit} since 1970"]
    elif unit in ("an offset", "Z"):
        assert said[0].endswith("are read as the clock times written")
    else:
        assert said == []


def test_what_times_and_positions_lack_is_said(tmp_path: Path):
    def bare(index: int, each: dict) -> dict:
        each = {name: value for name, value in each.items() if name not in ("x", "y")}
        return each | {"timestamp": None, "sensor_x": 3.0, "sensor_y": 4.0}

    notes = prepare_json(JsonFiles.beside(changed(tmp_path, bare))).manifest["notes"]
    assert [note.split()[1:3] for note in notes] == [["windows", "begin"], ["event", "has"]]
    assert notes[1].endswith("for all that they have sensor_x, sensor_y")


def test_a_time_before_1970_is_none_and_one_soon_after_is_asked_about(tmp_path: Path):
    counted = changed(tmp_path, lambda index, each: each | {"timestamp": 60 * index})
    (first, second, *_) = prepare_json(JsonFiles.beside(counted)).manifest["notes"]
    assert first == "timestamps are seconds since 1970"
    assert second.startswith("some of them are days of 1970 to 1973")
    before = changed(tmp_path, lambda index, each: each | {"timestamp": -60})
    with pytest.raises(DataError, match="'timestamp' is -60; wanted a number of milliseconds"):
        prepare_json(JsonFiles.beside(before))


def test_tokens_in_brackets_are_none_of_the_values_in_any_letters():
    assert [is_special(name) for name in ("<unk>", "[Pad]", "UNK", "unk", "Mask")] == [
        True,
        True,
        True,
        False,
        False,
    ]
