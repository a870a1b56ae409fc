"""Arms: named differences from a base, and how names write them."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

_LEAST_WRITTEN_OUT = 1e-3
"""Smaller numbers are written with an exponent."""


@dataclass(frozen=True)
class Arm:
    """A named difference from the base."""

    name: str
    changes: Mapping[str, object]


def as_written(value: object) -> str:
    """A value as a person writes it: `3e-4` for 0.00030000000000000003, `1e30` for 1e+30."""
    if isinstance(value, list | tuple):
        return ",".join(as_written(each) for each in value) or "none"
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    # Twelve digits are more than anybody writes, and fewer than a sum of floats gets wrong.
    text = repr(float(f"{value:.12g}"))
    mantissa, e, exponent = text.partition("e")
    if e:
        return f"{mantissa}e{int(exponent)}"
    if not 0.0 < abs(value) < _LEAST_WRITTEN_OUT:
        return text
    sign, digits, last = Decimal(text).as_tuple()
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}{'.' if rest else ''}{''.join(rest)}e{int(last) + len(rest)}"


def each(path: str, values: Iterable[object]) -> list[Arm]:
    """One arm for each value of one setting."""
    return [Arm(named_by({path: value}), {path: value}) for value in values]


def cross(axes: Mapping[str, Iterable[object]]) -> list[Arm]:
    """One arm for each combination of values of several settings."""
    combinations = itertools.product(*axes.values())
    changes = [dict(zip(axes, values, strict=True)) for values in combinations]
    return [Arm(named_by(change), change) for change in changes]


def named_by(changes: Mapping[str, object], write: Callable[[object], str] = as_written) -> str:
    """The name of an arm that makes these changes: `dropout=0.1+layers=2`."""
    return "+".join(f"{path.rsplit('.', 1)[-1]}={write(value)}" for path, value in changes.items())


def former_arm_name(arm: Arm) -> str | None:
    """The name that earlier versions gave an arm of `each` or `cross`, where it was another."""
    former = named_by(arm.changes, str)
    return former if arm.name == named_by(arm.changes) and arm.name != former else None
