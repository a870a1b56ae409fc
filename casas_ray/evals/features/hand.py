"""The featurizers made by hand: the baselines of everything learned, and first-class themselves."""

import numpy as np

from casas_ray.evals.features import context, window_alone
from casas_ray.evals.features.featurizer import Featurizer, Vectors
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import SeenWindows


def _with_last_fired(windows: SeenWindows, fold: Fold) -> Vectors:
    parts = [window_alone.rich(windows, fold), context.last_fired(windows, fold)]
    return np.concatenate(parts, axis=1)


def _with_past(windows: SeenWindows, fold: Fold) -> Vectors:
    parts = [_with_last_fired(windows, fold), context.decayed(windows, fold)]
    return np.concatenate(parts, axis=1)


def _with_both_sides(windows: SeenWindows, fold: Fold) -> Vectors:
    parts = [_with_past(windows, fold), context.next_fired(windows, fold)]
    return np.concatenate([*parts, context.decayed_ahead(windows, fold)], axis=1)


COUNTS = Featurizer("sensor counts", "window", window_alone.counts)
RICH = Featurizer("rich counts", "window", window_alone.rich)
MIX = Featurizer("hand mix", "window", window_alone.mix, one_scale=True)
LAST_FIRED = Featurizer("rich + last fired", "past", _with_last_fired)
PAST = Featurizer("rich + past", "past", _with_past)
BOTH_SIDES = Featurizer("rich + both sides", "both sides", _with_both_sides)

HAND = (COUNTS, RICH, MIX, LAST_FIRED, PAST, BOTH_SIDES)
