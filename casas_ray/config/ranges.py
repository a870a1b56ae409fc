"""Ranges of a setting for a search, as a study's file declares them; Ray Tune's own are made of
them when a search begins, so that a plan needs no Ray."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from casas_ray.errors import SettingsError

_DIGITS = 4
"""Of a value that is drawn: it stands in names, and a search tells no more apart."""


@dataclass(frozen=True)
class Uniform:
    """Any number from `low` to `high`; of a logarithmic range each factor is as likely."""

    low: float
    high: float
    is_log: bool = False

    @property
    def ends(self) -> Sequence[object]:
        """The values that have to fit the setting if all are to."""
        return self.low, self.high

    def as_drawn(self, value: object) -> object:
        """The value as it is trained: of so many digits as a name can show, within the range."""
        rounded = float(f"{float(str(value)):.{_DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', by factors' if self.is_log else ''}"


@dataclass(frozen=True)
class Integers:
    """A whole number from `low` up to and with `high`."""

    low: int
    high: int

    @property
    def ends(self) -> Sequence[object]:
        """As a Uniform has it."""
        return self.low, self.high

    def as_drawn(self, value: object) -> object:
        """The value as it is trained."""
        return int(str(value))

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, whole"


@dataclass(frozen=True)
class Choice:
    """One of these values."""

    values: tuple[object, ...]

    @property
    def ends(self) -> Sequence[object]:
        """As a Uniform has it."""
        return self.values

    def as_drawn(self, value: object) -> object:
        """The value as it is trained."""
        return value

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))


Range = Uniform | Integers | Choice


def uniform(low: float, high: float) -> Uniform:
    """Any number from `low` to `high`.

    Raises:
        SettingsError: they are no numbers in this order.
    """
    return Uniform(*_in_order("uniform", low, high))


def loguniform(low: float, high: float) -> Uniform:
    """Any number from `low` to `high`, each factor as likely as another.

    Raises:
        SettingsError: they are no numbers above 0 in this order.
    """
    low, high = _in_order("loguniform", low, high)
    if low <= 0.0:
        raise SettingsError(f"loguniform({low:g}, {high:g}): a factor wants numbers above 0.")
    return Uniform(low, high, is_log=True)


def randint(low: int, high: int) -> Integers:
    """A whole number from `low` up to and with `high`.

    Raises:
        SettingsError: they are no whole numbers in this order.
    """
    found = _in_order("randint", low, high)
    if any(each != int(each) for each in found):
        raise SettingsError(f"randint({low}, {high}) wants whole numbers; uniform takes others.")
    return Integers(int(low), int(high))


def choice(values: Sequence[object]) -> Choice:
    """One of these values.

    Raises:
        SettingsError: there are fewer than two.
    """
    if len(values) < 2:
        raise SettingsError(f"choice({list(values)}) leaves no choice; give two values or more.")
    return Choice(tuple(values))


def _in_order(name: str, low: float, high: float) -> tuple[float, float]:
    numbers = [isinstance(each, int | float) and math.isfinite(each) for each in (low, high)]
    if not all(numbers) or not low < high:
        raise SettingsError(
            f"{name}({low}, {high}) wants two numbers, the lower one first.",
            hint=f"for example {name}(1, 3)",
        )
    return float(low), float(high)
