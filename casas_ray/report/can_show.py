"""What so many seeds can show about so many arms, known before any of them is trained."""

from dataclasses import asdict, dataclass

from casas_ray.records.rule import ALPHA, DECIDES_FROM
from casas_ray.report.exact import arms_that_can_pass, smallest_p
from casas_ray.report.interval import half_width


@dataclass(frozen=True)
class CanShow:
    """What a study's pairs of seeds can show at most."""

    pairs: int
    arms: int
    smallest_p: float
    """That the sign-flip test can reach."""

    arms_that_can_pass: int
    """With Holm's correction at 0.05, were each as clear as can be."""

    half_width: float | None
    """Of the 95 % t interval, in standard deviations of the differences; None for one pair."""

    std_for_no_difference: float | None
    """The differences' standard deviation above which no arm can be told not to matter."""

    pairs_for_all: int
    """Pairs with which Holm's correction can let every arm pass."""

    def as_dict(self) -> dict[str, object]:
        """As JSON can hold it."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """The same for a reader."""
        if self.half_width is None or self.std_for_no_difference is None:
            return ["One pair of seeds has no spread: no verdict is possible."]
        said = [
            f"{self.pairs} pairs of seeds: smallest p {self.smallest_p:.3g}; 95 % interval "
            f"± {self.half_width:.2f} standard deviations of the differences."
        ]
        if self.pairs < DECIDES_FROM:
            said.append(
                f"So few can only look better or worse; {DECIDES_FROM} can decide (--seeds)."
            )
        else:
            said.append(
                f"Holm's correction can let {min(self.arms, self.arms_that_can_pass)} of "
                f"{self.arms} arms be better or worse; no difference matters where that standard "
                f"deviation is under {self.std_for_no_difference:.3f}."
            )
        if self.pairs < self.pairs_for_all:
            said.append(f"{self.pairs_for_all} seeds could tell all {self.arms} arms.")
        return said


def can_show(pairs: int, arms: int, rope: float) -> CanShow:
    """What so many pairs can show about so many arms."""
    has_spread = pairs > 1
    return CanShow(
        pairs,
        arms,
        smallest_p(pairs),
        arms_that_can_pass(pairs, ALPHA),
        half_width(pairs, 1 - ALPHA) if has_spread else None,
        rope / half_width(pairs, 1 - 2 * ALPHA) if has_spread else None,
        _pairs_for(arms),
    )


def _pairs_for(arms: int) -> int:
    return next(n for n in range(DECIDES_FROM, 64) if arms_that_can_pass(n, ALPHA) >= arms)
