"""Each branch of the rule, and how seldom it is wrong on studies whose truth is known."""

import json

import numpy as np
import pytest

from benchmarks.verdicts import share, share_by_looking
from casas_ray.records.rule import Rule, new_rule
from casas_ray.report.decision import Decision, as_json, decide, foreseen
from casas_ray.report.pairs import Pairs
from casas_ray.report.said import open_said, rule_said

STEADY = (0.03, 0.04, 0.05, 0.03, 0.05, 0.04, 0.04, 0.03)


def pairs_of(values, unpaired=None) -> Pairs:
    return Pairs(dict(enumerate(values)), unpaired or {})


def rule_of(arms: int, seeds: int, **more) -> Rule:
    return new_rule([f"arm{index}" for index in range(arms)], range(seeds), 0.01, **more)


def verdict_of(values, *, arms: int = 1, **more) -> Decision:
    rule = rule_of(arms, len(values), **more)
    return decide(rule, {"arm0": pairs_of(values)})["arm0"]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_up_to_five_pairs_only_look_like_something(count: int):
    better = [0.030, 0.031, 0.030, 0.031, 0.030][:count]
    found = verdict_of(better)
    assert (found.verdict, found.p) == ("looks better", None)
    assert verdict_of([-each for each in better]).verdict == "looks worse"
    assert verdict_of([0.1, -0.1, 0.0, 0.1, -0.1][:count]).verdict == "cannot decide"
    assert verdict_of([0.0001] * count).verdict == "looks better"


def test_six_pairs_of_one_arm_decide_and_of_four_arms_cannot():
    assert verdict_of(STEADY[:6]).verdict == "better"
    assert verdict_of([-each for each in STEADY[:6]]).verdict == "worse"
    found = verdict_of(STEADY[:6], arms=4)
    assert (found.verdict, found.p, found.holm_p) == ("cannot decide", 2 / 64, 4 * 2 / 64)
    assert verdict_of(STEADY, arms=4).verdict == "better"


def test_an_interval_that_holds_0_is_not_better_whatever_the_signs_say():
    # All of one sign, so that p is 2/64; but one difference is forty times the others.
    found = verdict_of([0.01, 0.01, 0.01, 0.01, 0.01, 0.4])
    assert (found.p, found.verdict) == (2 / 64, "cannot decide")
    low, high = found.interval
    assert low < 0 < high


def test_a_difference_inside_the_margin_does_not_matter_even_where_it_is_certain():
    found = verdict_of([0.002, 0.003, 0.002, 0.001, 0.002, 0.003])
    assert (found.p, found.verdict) == (2 / 64, "no difference that matters")
    low, high = found.inner  # 0.00217 ± 2.015 x 0.000753/√6
    assert (low, high) == pytest.approx((0.00155, 0.00279), abs=1e-4)
    assert verdict_of([0.012, 0.02, -0.008, 0.018, -0.009, 0.001]).verdict == "cannot decide"


def test_what_failed_is_unpaired_and_counts_in_the_family():
    rule = rule_of(2, 7)
    pairs = {
        "arm0": pairs_of(STEADY[:6], {6: "diverged"}),
        "arm1": pairs_of([], dict.fromkeys(range(7), "failed")),
    }
    decided = foreseen(rule, decide(rule, pairs))
    assert (decided["arm0"].holm_p, decided["arm0"].verdict) == (2 * 2 / 64, "cannot decide")
    assert (decided["arm1"].verdict, decided["arm1"].effect) == ("cannot decide", None)
    said = " ".join(open_said(rule, decided))
    assert "arm0, seed 6: diverged" in said
    assert "arm1, seed 0, 1, 2, 3, 4, 5, 6: failed" in said
    assert json.loads(json.dumps(as_json(decided["arm0"])))["unpaired"] == {"6": "diverged"}


def test_seeds_added_after_a_look_are_judged_by_evidence():
    rule = rule_of(1, 6).extended(["arm0"], range(8))
    assert (rule.looks, rule.is_sequential) == (2, True)
    decided = decide(rule, {"arm0": pairs_of(STEADY)})["arm0"]
    assert (decided.verdict, decided.p) == ("better", None)
    assert decided.evidence == pytest.approx(256 / 9)
    # Seven wins of seven: 128/8 is 16, and 20 are wanted.
    assert decide(rule, {"arm0": pairs_of(STEADY[:7])})["arm0"].verdict == "cannot decide"
    wins_but_less = [0.01] * 8 + [-0.9]  # the mean is on the other side of the signs
    assert decide(rule, {"arm0": pairs_of(wins_but_less)})["arm0"].verdict == "cannot decide"


def test_a_look_that_could_decide_nothing_costs_nothing():
    rule = rule_of(1, 3).extended(["arm0"], range(6))
    assert (rule.looks, rule.is_sequential) == (1, False)
    assert decide(rule, {"arm0": pairs_of(STEADY[:6])})["arm0"].verdict == "better"


def test_each_look_at_equivalence_spends_some_of_its_error():
    rule = rule_of(1, 6, most=12)
    first = decide(rule, {"arm0": pairs_of([0.002, -0.002, 0.004, 0.0, 0.001, 0.003])})["arm0"]
    second = rule.extended(["arm0"], range(8))
    same = decide(second, {"arm0": first.pairs})["arm0"]
    assert same.inner == first.inner  # it got no seed of the second round, so it was not looked at
    more = pairs_of([*first.pairs.differences, 0.002, 0.0])
    assert second.looks_of(more.by_seed) == 2


def test_the_words_tell_when_the_rule_was_written_and_what_could_be_reached():
    rule = rule_of(4, 3)
    decided = decide(rule, {"arm0": pairs_of(STEADY[:3])})
    said = " ".join(rule_said(rule, decided))
    assert f"written on {rule.written}, before the first trial" in said
    assert "3 pairs reach p 0.25 at best: they decide nothing, and 6 seeds would" in said
    late = rule_of(4, 6, is_late=True).extended(["arm0", "new"], range(6))
    said = " ".join(rule_said(late, decide(late, {"arm0": pairs_of(STEADY[:6])})))
    assert "AFTER trials had begun" in said
    assert "Added after trials had begun: new" in said
    assert "with which 1 of 5 can pass" in said


@pytest.mark.parametrize("noise", ["normal", "heavy", "few windows"])
@pytest.mark.parametrize(("arms", "pairs"), [(1, 6), (4, 8)])
def test_no_more_than_5_percent_of_null_studies_are_told_a_better_or_worse_arm(
    noise: str, arms: int, pairs: int
):
    wrong = share(("better", "worse"), arms=arms, pairs=pairs, noise=noise, studies=1000)
    assert wrong <= 0.05 + 0.014  # two standard errors of 1,000 studies of 5 %


def test_looking_until_it_is_clear_is_wrong_in_no_more_than_5_percent():
    assert share_by_looking(("better", "worse"), arms=1, studies=1000) <= 0.05


def test_a_whole_point_is_called_no_difference_in_no_more_than_5_percent():
    words = ("no difference that matters",)
    told = share(words, arms=1, pairs=8, effect=0.01, std=0.005, studies=1000)
    assert told <= 0.05 + 0.014
    assert share_by_looking(words, arms=1, effect=0.01, std=0.005, studies=500) <= 0.05
    assert share(words, arms=1, pairs=8, effect=0.0, std=0.005, studies=200) > 0.9


def test_as_many_more_seeds_as_are_asked_for_do_decide():
    # Differences of 3 points whose spread is 2: what the rule foresees from three pairs is tried.
    seen = [0.03, 0.01, 0.05]
    rule = rule_of(4, 3)
    decided = foreseen(rule, decide(rule, {"arm0": pairs_of(seen)}))["arm0"]
    assert decided.more is not None
    assert decided.more.likely is not None
    assert decided.more.careful is None or decided.more.careful >= decided.more.likely

    def power(more: int) -> float:
        rng = np.random.default_rng(3)
        grown = rule.extended(rule.family, range(3 + more))
        found = [
            decide(grown, {"arm0": pairs_of([*seen, *rng.normal(0.03, 0.02, more).tolist()])})
            for _ in range(400)
        ]
        return sum(one["arm0"].is_decided for one in found) / 400

    # The real test, against the one that stands for it; three standard errors of 400 studies.
    assert power(decided.more.likely) > 0.8 - 0.06
