"""The corpus at scale: each figure in a process of its own, so that its peak memory is its own."""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from casas_ray.config import DataConfig, MaskingConfig
from casas_ray.corpus.alignment import CaptionIndex, PreparedSet, SplitWriter, WindowColumns
from casas_ray.corpus.exchange.json_columns import columns_of
from casas_ray.corpus.exchange.reading import JsonFiles, _pieces, prepare_json, read_vocabulary
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare

MILAN_DAYS = 75
"""Makes about as many lines as the published log of Milan, 433,665."""

SLICE = 20_000


Figures = dict[str, Any]  # Any: what JSON holds, for it comes from another process


def in_own_process(function: str, *arguments: object) -> Figures:
    """What a function of this module measures, with the seconds and the memory that it took."""
    code = (
        "import sys, json; from benchmarks import corpus; "
        "print(json.dumps(corpus.timed(sys.argv[1], sys.argv[2:])))"
    )
    words = [sys.executable, "-c", code, function, *map(str, arguments)]
    ended = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


def timed(function: str, arguments: list[str]) -> Figures:
    """What a function measures, run here; its peak memory is this process's."""
    start = time.perf_counter()
    figures = globals()[function](*arguments)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mib": peak, **figures}


def simulated_milan() -> DataConfig:
    """The settings of the simulated log."""
    return DataConfig.build({"simulated": True, "simulate": {"days": MILAN_DAYS}})


def prepared_milan() -> Figures:
    """Log to set, four captions a window."""
    config = simulated_milan()
    prepared = prepare(config, logs_for(config))
    lines = prepared.manifest["homes"]["milan"]["log"]["lines"]
    size = sum(path.stat().st_size for path in prepared.folder.glob("t*.parquet"))
    events = sum(int(prepared.lengths(split).sum()) for split in ("train", "test"))
    return {"lines": lines, "folder": str(prepared.folder), "disk_bytes_per_event": size / events}


def row_by_row() -> Figures:
    """A slice of the log the conventional way: a dictionary an event, windows of dictionaries, one
    JSON file; no captions, no split, no checks."""
    path = logs_for(simulated_milan())["milan"]
    events: list[dict[str, Any]] = []  # Any: text, numbers and a time
    label = "no_activity"
    with path.open() as stream:
        for _, line in zip(range(SLICE), stream, strict=False):
            date, _, rest = line.rstrip("\n").partition(" ")
            stamp, sensor, value, *mark = rest.split("\t")
            moment = datetime.strptime(f"{date} {stamp}", "%Y-%m-%d %H:%M:%S.%f")
            if mark:
                name, _, kind = mark[0].rpartition(" ")
                label = name if kind == "begin" else "no_activity"
            gap = (moment - events[-1]["moment"]).total_seconds() if events else 0.0
            events.append(
                {
                    "moment": moment,
                    "sensor_id": sensor,
                    "event_type": value,
                    "tod_bucket": moment.hour // 4,
                    "dow": moment.strftime("%A").lower(),
                    "delta_t_since_prev": gap,
                    "timestamp": moment.timestamp() * 1000,
                    "activity": label,
                }
            )
    windows = [
        [{k: v for k, v in event.items() if k != "moment"} for event in events[start : start + 20]]
        for start in range(0, len(events) - 19, 10)
    ]
    text = json.dumps(windows)
    return {"lines": len(events), "bytes": len(text)}


def batches(folder: str) -> Figures:
    """Windows a second from the window store into batches, one core."""
    import torch

    from casas_ray.loader.streams import RandomStreams
    from casas_ray.loader.window_store import WindowStore

    torch.set_num_threads(1)
    store = WindowStore.of(PreparedSet(Path(folder)).windows("train"))
    rng = np.random.default_rng(0)
    steps = [rng.integers(len(store), size=1024) for _ in range(300)]
    figures: Figures = {"bytes_per_event": store.events.itemsize}
    start = time.perf_counter()
    for rows_B in steps:
        store.records(rows_B, 20)
    figures["records"] = 300 * 1024 / (time.perf_counter() - start)
    vectors_NT = torch.zeros(int(store.captions_K.max()) + 1, 384)
    start = time.perf_counter()
    for rows_B in steps[:100]:
        store.fixed_batch(rows_B, vectors_NT)
    figures["batches"] = 100 * 1024 / (time.perf_counter() - start)
    start = time.perf_counter()
    for step, rows_B in enumerate(steps[:30]):
        streams = RandomStreams(0, step, 0, 1024)
        store.training_batch(rows_B, vectors_NT, MaskingConfig(), streams, longest=20)
    figures["masked batches"] = 30 * 1024 / (time.perf_counter() - start)
    return figures


def many_windows(folder: str, millions: str) -> Figures:
    """Generated windows written piece by piece and read back as eight workers would."""
    target = Path(folder)
    windows, piece = int(float(millions) * 1e6), 50_000
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    with SplitWriter(target, "train") as writer:
        for first in range(0, windows, piece):
            writer.add(_generated(first, piece, rng))
    wrote = time.perf_counter() - start
    prepared, rows = PreparedSet(target), 0
    start = time.perf_counter()
    for rank in range(8):
        low, high = windows * rank // 8, windows * (rank + 1) // 8
        for first in range(low, high, piece):
            table = prepared.piece("train", first, min(first + piece, high))
            rows += table.num_rows
            assert table.column("first_event")[0].as_py() == first
    read = time.perf_counter() - start
    assert rows == windows
    size = (target / "train.parquet").stat().st_size
    return {"write": windows / wrote, "read": windows / read, "bytes": size / windows / 20}


def _generated(first: int, count: int, rng: np.random.Generator) -> WindowColumns:
    events = 20 * count
    ids = {
        name: rng.integers(3, 40, size=events).astype(np.int16)
        for name in ("sensor", "room", "state", "sensor_type", "time_of_day", "time_gap")
    }
    return WindowColumns(
        id=[str(first + index) for index in range(count)],
        home=["generated"] * count,
        first_event=np.arange(first, first + count),
        start_us=np.arange(first, first + count) * 10**7,
        length=np.full(count, 20, np.int16),
        ids=ids,
        gap_seconds=rng.random(events, dtype=np.float32),
        xy=rng.random((events, 2), dtype=np.float32),
        sensor_text=np.zeros(events, dtype=np.int32),
        caption_ids=list(np.arange(first, first + count, dtype=np.int32).reshape(-1, 1)),
        label=["generated"] * count,
        shares=[[("generated", 1.0)]] * count,
    )


def json_file(folder: str, windows: str) -> Figures:
    """Write windows of 50 events as JSON; not part of any figure."""
    target = Path(folder)
    rooms = ["kitchen", "office", "hall"]
    sample: dict[str, Any] = {}  # Any: what JSON holds
    with (target / "train.json").open("w") as out:
        for number in range(int(windows)):
            events = [
                {
                    "sensor_id": f"M{(number + index) % 30:03d}",
                    "room_id": rooms[(number + index) % 3],
                    "event_type": ("ON", "OFF")[index % 2],
                    "sensor_type": "M",
                    "tod_bucket": "evening",
                    "delta_t_bucket": "dt_lt1min",
                    "dow": "friday",
                    "x": 10.0 * (index % 30) + number % 7,
                    "y": 55.5,
                    "timestamp": 1255824004885 + 1000 * (50 * number + index),
                    "delta_t_since_prev": 1.25,
                }
                for index in range(50)
            ]
            sample = {"events": events, "captions": [f"said of {number}"], "first_activity": "Cook"}
            out.write(("[" if number == 0 else ",") + "\n" + json.dumps(sample))
        out.write("]")
    (target / "val.json").write_text(json.dumps([sample]))
    vocab = {
        "sensor_id": {f"M{index:03d}": index + 2 for index in range(30)},
        "room_id": {room: index for index, room in enumerate(rooms)},
        "event_type": {"ON": 0, "OFF": 1},
        "sensor_type": {"M": 0},
        "tod_bucket": {"evening": 0},
        "delta_t_bucket": {"dt_lt1min": 0},
        "dow": {"friday": 0},
    }
    (target / "vocab.json").write_text(json.dumps(vocab))
    return {"bytes": (target / "train.json").stat().st_size}


def json_parsed(folder: str) -> Figures:
    """The text parsed, and nothing made of it."""
    text = (Path(folder) / "train.json").read_text()
    start = time.perf_counter()
    rows = json.loads(text)
    return {"parse": time.perf_counter() - start, "windows": len(rows)}


def json_read(folder: str) -> Figures:
    """The file read into window columns."""
    target = Path(folder)
    start = time.perf_counter()
    vocabulary, windows = None, 0
    for samples in _pieces(target / "train.json", None):
        vocabulary = vocabulary or read_vocabulary(target / "vocab.json", samples)
        ids = [np.zeros(1, np.int32)] * len(samples)
        columns, _ = columns_of(samples, vocabulary, ids, 1.0, CaptionIndex())
        windows += len(columns.length)
    return {"read": time.perf_counter() - start, "windows": windows}


def json_prepared(folder: str) -> Figures:
    """The file made into a set on disk."""
    prepared = prepare_json(JsonFiles.beside(Path(folder) / "train.json"))
    return {"windows": prepared.manifest["windows"]["train"]}


def rows(folder: Path) -> list[tuple[str, str]]:
    """Every figure of the corpus, as rows of a table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logs_for(simulated_milan())
    whole, reference = in_own_process("prepared_milan"), in_own_process("row_by_row")
    rate, other = whole["lines"] / whole["seconds"], reference["lines"] / reference["seconds"]
    batched = in_own_process("batches", whole["folder"])
    table = [
        (
            f"prepare, SIMULATED Milan, {whole['lines']:,} lines, 4 captions a window",
            f"{whole['seconds']:.1f} s, {whole['peak_mib']:.0f} MiB, {rate:,.0f} lines/s",
        ),
        ("row by row, no captions, a slice", f"{other:,.0f} lines/s; ratio {rate / other:.2f}"),
        (
            "bytes an event on disk, in memory",
            f"{whole['disk_bytes_per_event']:.1f}, {batched['bytes_per_event']}",
        ),
        ("windows of 20 events, records copied", f"{batched['records'] / 1e6:.1f} M/s"),
        ("the same as tensors with a caption vector", f"{batched['batches'] / 1e6:.2f} M/s"),
        ("the same with masks", f"{batched['masked batches'] / 1e6:.2f} M/s"),
    ]
    for millions in (1, 10):
        many = in_own_process("many_windows", folder, millions)
        table.append(
            (
                f"{millions} M windows written, read as eight workers",
                f"{many['write']:,.0f}/s, {many['read']:,.0f}/s, peak {many['peak_mib']:.0f} MiB, "
                f"{many['bytes']:.1f} bytes an event",
            )
        )
    (folder / "train.parquet").unlink()  # the 10 M windows, a few GB
    size = in_own_process("json_file", folder, 100_000)["bytes"]
    parsed, read = in_own_process("json_parsed", folder), in_own_process("json_read", folder)
    prepared = in_own_process("json_prepared", folder)
    table += [
        (
            f"JSON, 100,000 windows of 50 events, {size / 1e6:,.0f} MB: parse alone",
            f"{parsed['parse']:.1f} s, peak {parsed['peak_mib']:,.0f} MiB",
        ),
        (
            "read into columns",
            f"{read['read']:.1f} s, {read['read'] / parsed['parse']:.2f} of it, "
            f"peak {read['peak_mib']:,.0f} MiB",
        ),
        ("made into a set", f"{prepared['seconds']:.1f} s, peak {prepared['peak_mib']:,.0f} MiB"),
    ]
    return table
