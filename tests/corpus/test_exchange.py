"""Alignment JSON of other pipelines: read whole or refused with file, sample, field and what was
wanted."""

import copy
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.alignment_json import VOCAB, event, files, sample

from casas_ray.corpus.alignment import PreparedSet, flat
from casas_ray.corpus.exchange.reading import JsonFiles
from casas_ray.corpus.exchange.reading import prepare_json as prepare_files
from casas_ray.corpus.vocab import UNK
from casas_ray.errors import DataError
from casas_ray.paths import aligned


def prepare_json(windows: dict[str, Path], vocab: Path) -> PreparedSet:
    """The set of files without captions of their own."""
    return prepare_files(JsonFiles(windows, vocab))


def column(prepared: PreparedSet, split: str, name: str) -> list:
    """A column of a split as Python values."""
    return prepared.windows(split).column(name).to_pylist()


def test_shape_a_becomes_an_alignment_set(tmp_path: Path):
    prepared = prepare_json(*files(tmp_path))
    train = prepared.windows("train")
    assert prepared.vocabulary.values["sensor"] == ("[PAD]", "[UNK]", "[MASK]", "M002", "M001")
    assert column(prepared, "train", "id_sensor")[0] == [4, 3, 4, 3, 4]
    assert column(prepared, "train", "gap_seconds")[0] == [1.0] * 5
    assert column(prepared, "train", "x")[0][1] == 0.25  # of the largest, 400
    assert column(prepared, "train", "y")[0][1] == 0.125
    assert train.column("label")[0].as_py() == "Watch_TV"
    assert train.column("start_us")[0].as_py() == 1_255_824_000_000_000
    texts = prepared.captions()
    assert [texts[place] for place in column(prepared, "train", "captions")[1]] == [
        "caption 1",
        "another 1",
    ]


def test_lines_and_gzip_give_the_same_windows(tmp_path: Path):
    paths, vocab = files(tmp_path)
    plain = prepare_json(paths, vocab).windows("train")
    rows = "\n".join(json.dumps(sample(n)) for n in range(6))
    for name, content in (("lines", rows.encode()), ("zipped", gzip.compress(rows.encode()))):
        other = tmp_path / name
        other.write_bytes(content)
        found = prepare_json({**paths, "train": other}, vocab).windows("train")
        assert found.drop_columns("id").equals(plain.drop_columns("id"))


def test_windows_of_different_length_keep_theirs(tmp_path: Path):
    prepared = prepare_json(*files(tmp_path, train=[sample(0, 2), sample(1, 4), sample(2, 5)]))
    assert prepared.windows("train").column("length").to_pylist() == [2, 4, 5]
    assert column(prepared, "train", "id_sensor")[0] == [4, 3]


def test_a_validation_value_that_the_vocabulary_misses_is_unknown_and_counted(tmp_path: Path):
    odd = sample(0)
    odd["events"][2]["room_id"] = "cellar"
    prepared = prepare_json(*files(tmp_path, val=[odd]))
    assert np.count_nonzero(flat(prepared.windows("val"), "id_room") == UNK) == 1
    assert prepared.manifest["unknown_values"] == {"train": 0, "val": 1}


def test_positions_of_every_split_are_divided_by_the_training_windows_largest(tmp_path: Path):
    far = sample(0)
    far["events"][0]["x"] = 800.0
    prepared = prepare_json(*files(tmp_path, val=[far]))
    # 400 is the largest of the training windows.
    assert column(prepared, "val", "x")[0] == [2.0, 0.25, 0.5, 0.75, 1.0]


def test_the_largest_number_is_one_and_the_event_beside_it_is_named(tmp_path: Path):
    odd = sample(0)
    odd["events"][0]["x"], odd["events"][1]["x"] = 1e15, "far"
    with pytest.raises(DataError, match="sample 0: event 1: 'x' is 'far'; wanted a number"):
        prepare_json(*files(tmp_path, train=[odd]))


def broken(change: str) -> dict:
    row = copy.deepcopy(sample(0))
    if change == "no events":
        row["events"] = []
    elif change == "no captions":
        row["captions"] = []
    elif change == "numeric caption":
        row["captions"] = [3]
    elif change == "missing field":
        del row["events"][3]["sensor_id"]
    elif change == "text for a number":
        row["events"][1]["x"] = "left"
    elif change == "endless gap":
        row["events"][2]["delta_t_since_prev"] = 10**400
    elif change == "listed label":
        row["first_activity"] = ["Watch_TV"]
    elif change == "nested sensor":
        row["events"][4]["sensor_id"] = ["M001"]
    elif change == "unknown sensor":
        row["events"][4]["sensor_id"] = "M099"
    return row


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("no events", "sample 1: wanted an object whose 'events' is a list of objects"),
        ("no captions", "sample 1: wanted at least one caption"),
        ("numeric caption", "sample 1: wanted at least one caption, all of them text"),
        ("missing field", "sample 1: event 3 has no 'sensor_id'"),
        ("text for a number", "sample 1: event 1: 'x' is 'left'; wanted a number"),
        ("endless gap", "sample 1: event 2: 'delta_t_since_prev' is 1000"),
        ("listed label", "sample 1: 'first_activity' is ['Watch_TV']; wanted a text"),
        ("nested sensor", "sample 1: event 4: 'sensor_id' is ['M001']; wanted a text"),
        ("unknown sensor", "sample 1: event 4: sensor_id 'M099' is not in"),
    ],
)
def test_a_wrong_sample_is_named_and_nothing_is_left_behind(
    tmp_path: Path, change: str, wanted: str
):
    before = set(aligned().glob("*"))
    with pytest.raises(DataError) as caught:
        prepare_json(*files(tmp_path, train=[sample(0), broken(change)]))
    assert wanted in caught.value.problem
    assert caught.value.exit_code == 3
    assert set(aligned().glob("*")) == before


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b'[{"events": [', "is not whole JSON"),
        (b"", "holds no sample"),
        (b"[]", "holds no sample"),
        (b"\xff\xfe\x00", "is not readable text"),
        (b"\x1f\x8b broken", "is not readable text"),
        (b"[" * 100_000, "is not whole JSON"),
        (b'[{"events": [{"x": Infinity}]}]', "Infinity is not a JSON number"),
        (b'"text"', "wanted an object"),
    ],
)
def test_a_file_that_is_no_shape_a_is_refused(tmp_path: Path, content: bytes, wanted: str):
    paths, vocab = files(tmp_path)
    paths["train"].write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare_json(paths, vocab)
    assert wanted in caught.value.problem


@pytest.mark.parametrize(
    ("vocab", "wanted"),
    [
        ([], "no ids for 'sensor_id'"),
        ({**VOCAB, "room_id": {"kitchen": "3"}}, "the id of 'kitchen' is '3'"),
        ({**VOCAB, "room_id": {"kitchen": -1}}, "the id of 'kitchen' is -1"),
        ({name: ids for name, ids in VOCAB.items() if name != "tod_bucket"}, "no ids for 'tod_b"),
    ],
)
def test_a_vocabulary_of_another_shape_is_refused(tmp_path: Path, vocab: object, wanted: str):
    with pytest.raises(DataError) as caught:
        prepare_json(*files(tmp_path, vocab=vocab))
    assert wanted in caught.value.problem


def test_a_missing_file_is_named(tmp_path: Path):
    paths, vocab = files(tmp_path)
    with pytest.raises(DataError, match=r"nowhere\.json"):
        prepare_json({**paths, "val": tmp_path / "nowhere.json"}, vocab)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(event(0))), JSON_VALUES)
def test_whatever_a_field_holds_it_is_taken_or_refused_with_a_data_error(
    tmp_path_factory, name: str, value: object
):
    odd = sample(1)
    odd["events"][0][name] = value
    paths, vocab = files(tmp_path_factory.mktemp("json"), train=[sample(0), odd])
    try:
        prepare_json(paths, vocab)
    except DataError as error:
        assert error.exit_code == 3
