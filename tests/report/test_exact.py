"""The exact tests: p from an enumeration by hand, and the bounds that no data can pass."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from casas_ray.report.exact import (
    arms_that_can_pass,
    e_value,
    holm,
    sign_flip_p,
    signs,
    smallest_p,
)
from casas_ray.report.interval import half_width, t_interval, t_quantile

COUNTS = (3, 4, 5, 6, 7, 8, 10)


def test_six_differences_of_one_sign_have_two_flips_of_64_as_far_out():
    assert sign_flip_p([0.1, 0.2, 0.1, 0.3, 0.2, 0.1]) == 2 / 64
    assert sign_flip_p([0.1] * 6) == 2 / 64
    assert sign_flip_p([0.0] * 6) == 1.0


def test_flips_that_are_level_but_for_rounding_are_as_far_out():
    # The sum is 0, and not the sum of these floats: every flip is as far from 0 or further.
    assert sign_flip_p([0.89, -0.57, -1.0, 0.68]) == 1.0


def test_one_small_loss_among_six_is_passed_by_two_flips_and_met_by_two():
    # The sum is 15; flipping the loss gives 17, and nothing else comes near. Both signs: 4 of 64.
    assert sign_flip_p([-1.0, 2.0, 3.0, 3.0, 4.0, 4.0]) == 4 / 64


@given(st.lists(st.integers(-100, 100).map(lambda each: each / 100), min_size=2, max_size=9))
def test_p_is_the_share_of_flips_whose_mean_is_as_far_from_0(values: list[float]):
    sums = np.array(list(itertools.product((1, -1), repeat=len(values)))) @ np.array(values)
    far = abs(sums) >= abs(sum(values)) - 1e-12
    assert sign_flip_p(values) == pytest.approx(far.mean(), abs=1e-12)


def test_the_smallest_p_and_the_arms_it_lets_pass():
    p = [0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.001953125]
    assert [smallest_p(count) for count in COUNTS] == p
    assert [arms_that_can_pass(count, 0.05) for count in COUNTS] == [0, 0, 0, 1, 3, 6, 25]


def test_the_t_interval_is_scipys():
    widths = [half_width(count, 0.95) for count in COUNTS]
    assert widths == pytest.approx([2.48, 1.59, 1.24, 1.05, 0.92, 0.84, 0.72], abs=0.005)
    for freedom, probability in itertools.product((1, 2, 3, 4, 9, 30, 99), (0.9, 0.975, 0.9999)):
        wanted = stats.t.ppf(probability, freedom)
        assert t_quantile(probability, freedom) == pytest.approx(wanted, rel=1e-9)
    values = [0.1, 0.3, 0.2, 0.6]
    found = t_interval(values, 0.9)
    wanted = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    assert found == pytest.approx(wanted)
    assert t_interval([0.1], 0.9) is None


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_steps_down_from_the_smallest(p_values: list[float]):
    order = np.argsort(p_values, kind="stable")
    stepped = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    wanted = np.minimum(np.maximum.accumulate(stepped), 1.0)
    assert np.array(holm(p_values))[order] == pytest.approx(wanted)


def test_the_evidence_of_eight_wins_is_256_over_nine_and_of_even_signs_below_one():
    assert e_value(8, 0) == e_value(0, 8) == pytest.approx(256 / 9)
    assert e_value(2, 2) == pytest.approx(16 / 30)
    assert signs([0.1, 0.0, -0.1, 0.2]) == (2, 1)


def test_the_evidence_of_a_fair_coin_is_1_on_average():
    for pairs in (1, 5, 12):
        coins = [stats.binom.pmf(wins, pairs, 0.5) for wins in range(pairs + 1)]
        found = [e_value(wins, pairs - wins) for wins in range(pairs + 1)]
        assert np.dot(coins, found) == pytest.approx(1.0)
