"""Random numbers by address, and the masks and dropout made from them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from casas_ray.config import MaskingConfig
from casas_ray.loader.masking import Masks, draw_masks, span_mask
from casas_ray.loader.streams import RandomStreams, Stream, keep_factor


@given(st.integers(0, 5), st.integers(0, 100_000), st.integers(1, 200), st.integers(0, 7))
def test_a_row_draws_the_same_whoever_holds_it(seed: int, step: int, width: int, row: int):
    whole = RandomStreams(seed, step, 0, 8).octets(3, width)
    alone = RandomStreams(seed, step, row, 1).octets(3, width)
    assert (whole[row] == alone[0]).all()


def test_steps_sites_and_seeds_draw_apart():
    base = RandomStreams(0, 0, 0, 4).octets(1, 64)
    for other in (RandomStreams(1, 0, 0, 4), RandomStreams(0, 1, 0, 4), RandomStreams(0, 0, 1, 4)):
        assert (other.octets(1, 64) != base).any()
    assert (RandomStreams(0, 0, 0, 4).octets(2, 64) != base).any()


def test_uniform_numbers_are_uniform():
    numbers = RandomStreams(0, 0, 0, 1000).uniform(1, 100)
    assert 0.0 <= numbers.min() < numbers.max() < 1.0
    # 100,000 numbers: the mean is within five standard errors (0.289 / sqrt(1e5)) of a half.
    assert abs(numbers.mean() - 0.5) < 5 * 0.289 / 100_000**0.5


def test_a_choice_takes_every_option_about_equally_often():
    counts = np.bincount(RandomStreams(0, 0, 0, 40_000).choice(Stream.CAPTION, 4), minlength=4)
    assert (np.abs(counts - 10_000) < 5 * (40_000 * 0.25 * 0.75) ** 0.5).all()


def test_dropout_keeps_the_mean_and_drops_its_rounded_rate():
    kept = RandomStreams(0, 0, 0, 1000).kept(2, 1000, dropout=0.3, device=torch.device("cpu"))
    # 0.3 of 256 is 76.8, and 77 are dropped.
    assert keep_factor(0.3) == 256.0 / 179.0
    assert abs(1 - kept[0].double().mean().item() - 77 / 256) < 5 * (0.21 / 1e6) ** 0.5
    assert not torch.equal(kept[0], kept[1])


@given(st.integers(0, 2**31), st.integers(0, 2**40), st.integers(0, 10**9), st.integers(1, 90))
@settings(deadline=None)
def test_a_device_draws_what_the_host_draws(seed: int, step: int, row: int, width: int):
    streams = RandomStreams(seed, step, row, 3)
    on_host = np.stack([streams.octets(Stream.DROPOUT + use, width) for use in range(2)])
    found = streams.octets_on(torch.device("cpu"), 2, width)
    assert (found.numpy() == on_host).all()


LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=20)


@given(LENGTHS, st.floats(0.05, 0.95), st.floats(1.0, 10.0), st.integers(0, 3))
def test_exactly_the_share_is_masked_and_never_padding(
    lengths: list[int], share: float, mean_span: float, step: int
):
    length = np.array(lengths)
    masked = span_mask(length, 30, share, mean_span, RandomStreams(0, step, 0, len(length)))
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
        found = runs(span_mask(length, 200, 0.1, mean_span, RandomStreams(0, 0, 0, 4000))).mean()
        # Spans that touch merge and the last one is cut, so the mean is only near.
        assert 0.85 * mean_span < found < 1.35 * mean_span


def test_every_place_is_masked_about_equally_often():
    length = np.full(20_000, 20)
    masked = span_mask(length, 20, 0.3, 5.0, RandomStreams(0, 0, 0, 20_000))
    # Five standard errors of a share of 0.3 among 20,000 windows.
    assert (np.abs(masked.mean(0) - 0.3) < 5 * (0.21 / 20_000) ** 0.5).all()


def masks_of(windows: int = 4000, longest: int = 20, **changes: object) -> Masks:
    length = np.full(windows, longest)
    progress = changes.pop("progress", 1.0)
    config = MaskingConfig.build(changes)
    return draw_masks(length, longest, config, RandomStreams(0, 0, 0, windows), progress=progress)


def test_what_is_hidden_follows_the_chance_of_its_group_and_something_always_is():
    masks = masks_of(hide={"sensor": 0.9, "state": 0.2, "time_of_day": 0.5, "time_gap": 0.5})
    assert masks.hidden_BLG is not None
    assert not masks.hidden_BLG[~masks.masked_BL].any()
    assert masks.hidden_BLG[masks.masked_BL].any(-1).all()
    shares = masks.hidden_BLG[masks.masked_BL].mean(0)
    assert shares[1:] == pytest.approx([0.2, 0.5, 0.5], abs=0.02)
    # The group that is hidden oftenest steps in where no other is: 0.1 * 0.8 * 0.5 * 0.5 of events.
    assert shares[0] == pytest.approx(0.9 + 0.02, abs=0.01)


def test_a_blackout_hides_everything():
    masks = masks_of(hide={"sensor": 0.5, "state": 0.5}, blackout=0.4)
    assert masks.hidden_BLG is not None
    share = masks.hidden_BLG[masks.masked_BL].all(-1).mean()
    assert share == pytest.approx(0.4 + 0.6 * 0.25, abs=0.02)


def test_some_masked_events_show_another_and_some_themselves():
    masks = masks_of(swap=0.1, keep=0.1)
    assert masks.shown_BL is not None
    own = masks.shown_BL == np.arange(20)
    assert (masks.shown_BL[masks.masked_BL] == -1).mean() == pytest.approx(0.8, abs=0.02)
    # A twentieth of the swapped are swapped with themselves.
    assert own[masks.masked_BL].mean() == pytest.approx(0.105, abs=0.02)


def test_the_rate_grows_over_the_training():
    shares = [
        masks_of(grows_from=0.1, share=0.5, progress=p).masked_BL.mean() for p in (0.0, 0.5, 1)
    ]
    assert shares == pytest.approx([0.1, 0.3, 0.5])


@given(LENGTHS, st.integers(0, 5))
def test_a_span_starts_at_a_room_change_in_every_window_that_has_one(lengths: list[int], step: int):
    length = np.array(lengths)
    changes = np.zeros((len(length), 30), dtype=bool)
    changes[:, 3::7] = True
    streams = RandomStreams(0, step, 0, len(length))
    masked = span_mask(length, 30, 0.3, 3.0, streams, seeds_BL=changes)
    real = np.arange(30) < length[:, None]
    assert (masked.sum(1) == np.maximum(1, np.rint(0.3 * length))).all()
    assert not masked[~real].any()
    has_change = (changes & real).any(1)
    assert has_change.any() == (length > 3).any()
    assert (masked & changes).any(1)[has_change].all()


def test_far_more_spans_start_at_room_changes_than_by_chance():
    length = np.full(2000, 30)
    changes = np.zeros((2000, 30), dtype=bool)
    changes[:, 10] = changes[:, 20] = True
    streams = RandomStreams(0, 0, 0, 2000)

    def at_changes(masked: np.ndarray) -> float:
        starts = masked & ~np.roll(masked, 1, axis=1)
        return starts[:, [10, 20]].sum() / starts.sum()

    seeded = at_changes(span_mask(length, 30, 0.2, 4.0, streams, seeds_BL=changes))
    assert seeded > 5 * at_changes(span_mask(length, 30, 0.2, 4.0, streams))


def test_which_event_is_shown_and_what_is_blacked_out_are_drawn_apart_from_whether():
    masks = masks_of(swap=0.1, blackout=0.5, hide={"state": 0.0})
    assert masks.shown_BL is not None
    assert masks.hidden_BLG is not None
    swapped = masks.masked_BL & (masks.shown_BL >= 0)
    # About 2,400 of 80,000 events: 120 for each of the 20 places.
    counts = np.bincount(masks.shown_BL[swapped], minlength=20)
    assert (np.abs(counts - swapped.sum() / 20) < 5 * 120**0.5).all()
    assert masks.hidden_BLG[swapped].all(-1).mean() == pytest.approx(0.5, abs=0.06)
