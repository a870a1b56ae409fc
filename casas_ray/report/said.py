"""Verdicts and their rule in words, the same wherever they are shown."""

from collections.abc import Mapping, Sequence

from casas_ray.records.rule import DECIDES_FROM, Rule
from casas_ray.report.can_show import can_show
from casas_ray.report.decision import Decision
from casas_ray.report.more_seeds import MOST, MoreSeeds

Decisions = Mapping[str, Decision]


def effect_said(one: Decision) -> str:
    """The mean difference with its 95 % interval."""
    return "-" if one.effect is None else difference_said(one.effect, one.interval)


def difference_said(mean: float, interval: tuple[float, float] | None) -> str:
    """A difference with its interval, where it has one."""
    ends = f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""
    return f"{mean:+.3f}{ends}"


def verdict_said(one: Decision) -> str:
    """The verdict, and where it is open how many more seeds would close it."""
    count = len(one.pairs.differences)
    of = "" if not one.pairs.unpaired else f", {count} pairs of {count + len(one.pairs.unpaired)}"
    return f"{one.verdict}{of}"


def in_short(rule: Rule, decided: Decisions) -> str:
    """The answer in a sentence or two: the arms of each verdict, and the smallest p that could
    be."""
    if not decided:
        return "No arm compares with the base: there is no verdict."
    found: dict[str, list[str]] = {}
    for arm, one in decided.items():
        found.setdefault(one.verdict, []).append(arm)
    parts = [f"{said}: {_counted(found[word])}." for word, said in _IN_SHORT if word in found]
    smallest = min(one.smallest_p for one in decided.values())
    if not rule.is_sequential:
        parts.append(f"Smallest p that so many pairs can reach: {smallest:.3g}.")
    return " ".join(parts).replace("matters:", f"matters (±{rule.rope:g}):")


_IN_SHORT = (
    ("better", "Better than the base"),
    ("worse", "Worse"),
    ("looks better", "Only looks better"),
    ("looks worse", "Only looks worse"),
    ("no difference that matters", "No difference that matters"),
    ("cannot decide", "Not decided"),
)
_NAMED = 4
"""Arms that are named; of more, how many they are is told."""


def _counted(arms: Sequence[str]) -> str:
    return ", ".join(arms) if len(arms) <= _NAMED else f"{len(arms)} arms"


def rule_said(rule: Rule, decided: Decisions) -> list[str]:
    """Whole sentences: the rule, when it was written, and what it can show at all."""
    return [_written(rule), _judged(rule), *_reach(rule, decided), *_joined(rule)]


def open_said(rule: Rule, decided: Decisions) -> list[str]:
    """A sentence for the arms that more seeds would decide, one for the seeds without a pair."""
    return [*_to_add(rule, decided), *_without_a_pair(decided)]


def _to_add(rule: Rule, decided: Decisions) -> list[str]:
    wanted = {arm: one for arm, one in decided.items() if one.more is not None}
    if not wanted:
        return []
    parts = "; ".join(f"{arm} {_more(one.more)}" for arm, one in wanted.items() if one.more)
    seen = max(len(one.pairs.differences) for one in wanted.values())
    judged = "e-value" if rule.is_sequential or seen >= DECIDES_FROM else "test"
    return [
        f"Seeds to add for a verdict with probability 0.8, were differences and spread as seen (in "
        f"brackets: were the spread as large as it may well be): {parts}. They would be judged by "
        f"the {judged}."
    ]


def _without_a_pair(decided: Decisions) -> list[str]:
    parts = []
    for arm, one in decided.items():
        seeds: dict[str, list[str]] = {}
        for seed, why in one.pairs.unpaired.items():
            seeds.setdefault(why, []).append(str(seed))
        parts += [f"{arm}, seed {', '.join(each)}: {why}" for why, each in seeds.items()]
    return [f"Without a pair: {'; '.join(parts)}."] if parts else []


def _more(more: MoreSeeds) -> str:
    likely, careful = (
        f"over {MOST}" if count is None else str(count) for count in (more.likely, more.careful)
    )
    return f"{likely} ({careful})"


def _written(rule: Rule) -> str:
    metric, arms = rule.metric.removeprefix("val/"), len(rule.family)
    when = {
        (True, True): f"written on {rule.written}, AFTER trials had begun",
        (True, False): "of today, for this study WROTE NONE before its trials",
        (False, True): f"written on {rule.written}, before the first trial",
    }[rule.is_late or not rule.written, bool(rule.written)]
    of_arms = f"{arms} arms" if arms != 1 else "1 arm"
    return (
        f"Verdicts: rule {rule.version}, {when}: {metric}, paired by seed, {of_arms}; less than "
        f"±{rule.rope:g} does not matter."
    )


def _judged(rule: Rule) -> str:
    if rule.is_sequential:
        needed = len(rule.family) / rule.alpha
        return (
            f"Seeds were added with numbers in sight, so better or worse wants an e-value of "
            f"{needed:g}."
        )
    return "Better or worse: sign-flip p, corrected by Holm, up to 0.05 and a 95 % interval off 0."


def _reach(rule: Rule, decided: Decisions) -> list[str]:
    counts = sorted({len(one.pairs.differences) for one in decided.values()})
    if not counts or not counts[-1] or rule.is_sequential:
        return []
    shown = can_show(counts[-1], len(rule.family), rule.rope)
    if counts[-1] < DECIDES_FROM:
        few = len(rule.seeds) < DECIDES_FROM
        advice = (
            f", and {DECIDES_FROM} seeds would (--seeds {DECIDES_FROM} --extend)" if few else ""
        )
        best = f"{counts[-1]} pairs reach p {shown.smallest_p:.3g} at best"
        return [f"{best}: they decide nothing{advice}."]
    passing = min(shown.arms, shown.arms_that_can_pass)
    return [
        f"{counts[-1]} pairs reach p {shown.smallest_p:.3g} at best, with which {passing} of "
        f"{shown.arms} can pass."
    ]


def _joined(rule: Rule) -> Sequence[str]:
    if not rule.joined:
        return []
    return [f"Added after trials had begun: {', '.join(rule.joined)}."]
