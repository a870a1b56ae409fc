"""JSON read value by value: bounded, and whole or refused."""

import gzip
import json
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casas_ray.corpus.exchange import json_stream
from casas_ray.corpus.exchange.json_stream import records, whole
from casas_ray.errors import DataError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key not in ("samples", "captions")), VALUES, max_size=4
)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(OBJECTS, max_size=6), st.sampled_from([None, 1, 2]), st.booleans())
def test_arrays_lines_and_wrapped_lists_give_the_same_values(
    tmp_path_factory, rows: list[dict], indent: int | None, packed: bool
):
    folder = tmp_path_factory.mktemp("json")
    texts = [
        json.dumps(rows, indent=indent),
        "\ufeff" + json.dumps(rows),
        json.dumps({"dataset": "x", "n": {"a": [1]}, "samples": rows, "after": 3}, indent=indent),
    ]
    if rows:
        texts.append("\n".join(json.dumps(row) for row in rows))
    for text in texts:
        data = gzip.compress(text.encode()) if packed else text.encode()
        assert [value for value, _ in records(written(folder, data))] == rows


@given(st.lists(OBJECTS, min_size=1, max_size=5), st.data())
def test_a_file_cut_anywhere_is_refused_or_gives_the_values_before_the_cut(
    tmp_path_factory, rows: list[dict], data: st.DataObject
):
    text = json.dumps(rows)
    cut = data.draw(st.integers(1, len(text) - 1))
    seen = []
    with pytest.raises(DataError) as caught:
        for value, _ in records(written(tmp_path_factory.mktemp("json"), text[:cut])):
            seen.append(value)
    assert caught.value.exit_code == 3
    assert seen == rows[: len(seen)]


def test_values_across_the_pieces_in_which_a_file_is_read_are_whole(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 7)
    rows = [{"number": 123456789, "text": "é" * 30, "events": [{"a": 1}] * 5}] * 4
    for text in (json.dumps(rows, ensure_ascii=False), "\n".join(map(json.dumps, rows))):
        assert [value for value, _ in records(written(tmp_path, text))] == rows


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ('[{"a": 1, "a": 2}]', "sample 0: the key 'a' comes twice"),
        ('[{"events": [{"x": 1, "x": 2}]}]', "the key 'x' comes twice"),
        ('{"a": 1}\n{"b": Infinity}', "line 2 is not whole JSON: Infinity"),
        ('[{"a": "\\ud800"}]', "half of a surrogate pair"),
        ("[" + "[" * 200_000, "is not whole JSON"),
        ('[{"a": ' + "9" * 5000 + "}]", "is not whole JSON"),
        ('[{"a": 1}, ]', "is not whole JSON"),
        ('[{"a": 1} {"a": 1}]', "wanted ','"),
        (b"[\xff]", "is not readable text"),
        (gzip.compress(b'[{"a": 1}]', mtime=0)[:-9], "is not readable text"),
    ],
)
def test_what_is_no_json_is_named_and_refused(tmp_path: Path, content: str | bytes, wanted: str):
    with pytest.raises(DataError) as caught:
        list(records(written(tmp_path, content)))
    assert wanted in caught.value.problem
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("fill", [b'"', b" ", b"["])
def test_a_gzip_bomb_fills_no_memory(tmp_path: Path, fill: bytes):
    path = tmp_path / "bomb.json"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(b"[")
        for _ in range(600 if fill == b" " else 200):
            out.write(b" " * (1 << 20) if fill != b'"' else b"x" * 0 + b'"' + b"a" * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError):
        list(records(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


def test_a_vocabulary_with_a_key_twice_or_text_after_its_end_is_refused(tmp_path: Path):
    for text, wanted in (
        ('{"sensor_id": {"M1": 3, "M1": 4}}', "comes twice"),
        ('{"a": {}} {"b": {}}', "there is text after its end"),
    ):
        with pytest.raises(DataError) as caught:
            whole(written(tmp_path, text))
        assert wanted in caught.value.problem


def test_nan_as_pandas_writes_it_is_nothing(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text('[{"a": NaN, "b": [NaN, 1]}]')
    assert [value for value, _ in records(path)] == [{"a": None, "b": [None, 1]}]
