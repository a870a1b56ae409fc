"""A recipe that trains in seconds, as settings and as words, and the real log where it lies."""

import json
from pathlib import Path

import pytest

REAL_LOG = Path(__file__).parents[3] / "shared" / "casas" / "al_smarthome" / "data.txt"
needs_real_log = pytest.mark.skipif(
    not REAL_LOG.exists(), reason="the real log is not at hand (it may not be redistributed)"
)

SMALL = {
    "data.simulated": True,
    "data.simulate.days": 3,
    "data.captions.per_window": 2,
    "model.width": 32,
    "model.layers": 1,
    "model.heads": 2,
    "model.feed_forward": 64,
    "model.embedding": 16,
    "model.dropout": 0.25,
    "optim.batch_size": 32,
    "optim.epochs": 2,
    "optim.learning_rate": 0.002,
}
"""A recipe that trains in a second or two."""

WORDS = [f"{name}={json.dumps(value)}" for name, value in SMALL.items()]
"""The same as words of a command."""

WORDS_WITHOUT_DATA = [word for word in WORDS if not word.startswith("data.")]
