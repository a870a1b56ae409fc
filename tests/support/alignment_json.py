"""Small files of alignment JSON, shape A."""

import json
from pathlib import Path

ROOMS = {"M001": "kitchen", "M002": "office"}


def event(place: int, sensor: str = "M001") -> dict:
    return {
        "sensor_id": sensor,
        "room_id": ROOMS.get(sensor, "attic"),
        "event_type": "ON" if place % 2 == 0 else "OFF",
        "sensor_type": "M",
        "tod_bucket": "evening",
        "delta_t_bucket": "dt_lt1min",
        "x": 100.0 * place,
        "y": 50.0,
        "timestamp": 1_255_824_000_000 + 1000 * place,
        "delta_t_since_prev": 1.0,
    }


def sample(number: int, events: int = 5) -> dict:
    return {
        "events": [event(place, ["M001", "M002"][(number + place) % 2]) for place in range(events)],
        "captions": [f"caption {number}", f"another {number}"],
        "first_activity": "Watch_TV",
    }


VOCAB = {
    "sensor_id": {"[PAD]": 0, "<UNK>": 1, "M002": 4, "M001": 9},
    "room_id": {"kitchen": 3, "office": 2},
    "event_type": {"ON": 0, "OFF": 1},
    "sensor_type": {"M": 0},
    "tod_bucket": {"evening": 0},
    "delta_t_bucket": {"dt_lt1min": 0},
}


def files(folder: Path, train: object = None, val: object = None, vocab: object = None) -> tuple:
    texts = {
        "train": json.dumps([sample(n) for n in range(6)] if train is None else train),
        "val": json.dumps([sample(n) for n in range(3)] if val is None else val),
        "vocab": json.dumps(VOCAB if vocab is None else vocab),
    }
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text)
    return {split: folder / f"{split}.json" for split in ("train", "val")}, folder / "vocab.json"
