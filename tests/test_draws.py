"""Random numbers by address, and the masks and dropout made from them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.config import MaskingConfig
from casas_ray.model.draws import Draws, Site
from casas_ray.model.masking import span_mask


@given(st.integers(0, 5), st.integers(0, 100_000), st.integers(1, 200), st.integers(0, 7))
def test_a_row_draws_the_same_whoever_holds_it(seed: int, step: int, width: int, row: int):
    whole = Draws(seed, step, 0, 8).octets(3, width)
    alone = Draws(seed, step, row, 1).octets(3, width)
    assert (whole[row] == alone[0]).all()


def test_steps_sites_and_seeds_draw_apart():
    base = Draws(0, 0, 0, 4).octets(1, 64)
    for other in (Draws(1, 0, 0, 4), Draws(0, 1, 0, 4), Draws(0, 0, 1, 4)):
        assert (other.octets(1, 64) != base).any()
    assert (Draws(0, 0, 0, 4).octets(2, 64) != base).any()


def test_uniform_numbers_are_uniform():
    numbers = Draws(0, 0, 0, 1000).uniform(1, 100)
    assert 0.0 <= numbers.min() < numbers.max() < 1.0
    # 100,000 numbers: the mean is within five standard errors (0.289 / sqrt(1e5)) of a half.
    assert abs(numbers.mean() - 0.5) < 5 * 0.289 / 100_000**0.5


def test_a_choice_takes_every_option_about_equally_often():
    counts = np.bincount(Draws(0, 0, 0, 40_000).choice(Site.CAPTION, 4), minlength=4)
    assert (np.abs(counts - 10_000) < 5 * (40_000 * 0.25 * 0.75) ** 0.5).all()


def test_dropout_keeps_the_mean_and_drops_its_rounded_rate():
    scale = Draws(0, 0, 0, 1000).keep_scale(20, 1000, dropout=0.3, device=torch.device("cpu"))
    values = scale.unique().tolist()
    assert values == pytest.approx([0.0, 256.0 / 179.0])  # 0.3 of 256 is 76.8, and 77 are dropped
    assert abs((scale == 0).double().mean().item() - 77 / 256) < 5 * (0.21 / 1e6) ** 0.5


LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=20)


@given(LENGTHS, st.floats(0.05, 0.95), st.floats(1.0, 10.0), st.integers(0, 3))
def test_exactly_the_share_is_masked_and_never_padding(
    lengths: list[int], share: float, mean_span: float, step: int
):
    length = np.array(lengths)
    config = MaskingConfig(share=share, mean_span=mean_span)
    masked = span_mask(length, 30, config, Draws(0, step, 0, len(length)))
    wanted = np.maximum(1, np.rint(share * length))
    assert (masked.sum(1) == wanted).all()
    assert not masked[np.arange(30) >= length[:, None]].any()


def runs(masked: np.ndarray) -> np.ndarray:
    """Lengths of the runs of True in each row."""
    edges = np.diff(masked.astype(int), prepend=0, append=0, axis=1)
    return np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]


def test_masked_events_stand_in_spans_of_about_the_mean_length():
    length = np.full(4000, 200)
    for mean_span in (1.0, 5.0):
        config = MaskingConfig(share=0.1, mean_span=mean_span)
        found = runs(span_mask(length, 200, config, Draws(0, 0, 0, 4000))).mean()
        # Spans that touch merge and the last one is cut, so the mean is only near.
        assert 0.85 * mean_span < found < 1.35 * mean_span


def test_every_place_is_masked_about_equally_often():
    length = np.full(20_000, 20)
    masked = span_mask(length, 20, MaskingConfig(), Draws(0, 0, 0, 20_000))
    # Five standard errors of a share of 0.3 among 20,000 windows.
    assert (np.abs(masked.mean(0) - 0.3) < 5 * (0.21 / 20_000) ** 0.5).all()
