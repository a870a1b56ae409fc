"""Features made by hand of a window's own events."""

# N windows, R events of windows (one that lies in two windows counts twice), P columns

import numpy as np

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, SeenWindows

_MOST_TRANSITIONS = 64
_SECONDS_OF_HOUR = 3600 * US_PER_SECOND


def counts(windows: SeenWindows, fold: Fold) -> Vectors:
    """What anybody would try first: events by sensor and by state, their number, and the time of
    day as a point on a circle."""
    parts = [
        counted(windows, column_R(windows, fold, codes_E))
        for codes_E in (windows.sensor_E, windows.state_E)
    ]
    length_N1 = windows.ranges.length[:, None].astype(np.float64)
    return np.concatenate([length_N1, *parts, day_circle(windows.start_us_N, harmonics=1)], axis=1)


def rich(windows: SeenWindows, fold: Fold) -> Vectors:
    """Counts by sensor and state together, the hour, durations, and which sensor follows which."""
    sensor_R = column_R(windows, fold, windows.sensor_E)
    passed_R = _seconds_to_next(windows)
    durations = np.stack([duration_seconds(windows), _longest(windows, passed_R)], axis=1)
    hour_N = windows.start_us_N % US_PER_DAY // _SECONDS_OF_HOUR
    dwell_NP = counted(windows, sensor_R, weights=passed_R)
    return np.concatenate(
        [
            counted(windows, pair_R(windows, fold)),
            np.log1p(dwell_NP),
            np.log1p(durations),
            counted(windows, _transition_R(windows, fold)),
            np.eye(24)[hour_N],
            day_circle(windows.start_us_N, harmonics=4),
        ],
        axis=1,
    )


def mix(windows: SeenWindows, fold: Fold) -> Vectors:
    """A few numbers whose distances mean something: the root of each sensor and state's share, half
    a time of day, a tenth of the logarithm of the duration."""
    shares_NP = counted(windows, pair_R(windows, fold)) / windows.ranges.length[:, None]
    middle_us_N = (windows.start_us_N + windows.end_us_N) // 2
    log_duration_N1 = np.log1p(duration_seconds(windows))[:, None]
    parts = [np.sqrt(shares_NP), 0.5 * day_circle(middle_us_N, harmonics=2), 0.1 * log_duration_N1]
    return np.concatenate(parts, axis=1)


def pair_E(windows: SeenWindows) -> Ints:
    """For each event a code of its sensor and state together."""
    return windows.sensor_E * (int(windows.state_E.max(initial=0)) + 1) + windows.state_E


def pair_R(windows: SeenWindows, fold: Fold) -> tuple[Ints, int]:
    """For each event of a window the column of its sensor and state together."""
    return column_R(windows, fold, pair_E(windows))


def column_R(windows: SeenWindows, fold: Fold, codes_E: Ints) -> tuple[Ints, int]:
    """For each event of a window the column of its code, and the number of columns.

    Columns are for codes in training windows; any other has the number of columns for its own.
    """
    known = codes_of(windows, fold, codes_E)
    _, event_R = windows.event_rows
    return indices_in(known, codes_E[event_R]), len(known)


def codes_of(windows: SeenWindows, fold: Fold, codes_E: Ints) -> Ints:
    """The distinct codes of events of training windows, sorted."""
    window_R, event_R = windows.event_rows
    in_training_N = np.zeros(len(windows), dtype=bool)
    in_training_N[fold.train] = True
    return np.unique(codes_E[event_R[in_training_N[window_R]]])


def indices_in(known: Ints, codes: Ints) -> Ints:
    """The index of each code in the sorted ones; their number for codes that are not there."""
    index = np.searchsorted(known, codes)
    return np.where(np.isin(codes, known), index, len(known))


def counted(
    windows: SeenWindows, columns: tuple[Ints, int], weights: Vectors | None = None
) -> Vectors:
    """Events by column in each window, N x P; with weights, their sum."""
    column, count = columns
    window_R, _ = windows.event_rows
    # One column more, for what training never saw, which is cut off.
    cells = np.bincount(
        window_R * (count + 1) + column, weights, minlength=len(windows) * (count + 1)
    )
    return cells.reshape(len(windows), count + 1)[:, :count].astype(np.float64)


def day_circle(time_us: Ints, *, harmonics: int) -> Vectors:
    """Sine and cosine of the time of day, once, twice and so on round a day."""
    angle = 2 * np.pi * (time_us % US_PER_DAY) / US_PER_DAY
    times = [turns * angle for turns in range(1, harmonics + 1)]
    return np.stack([wave(each) for each in times for wave in (np.sin, np.cos)], axis=1)


def duration_seconds(windows: SeenWindows) -> Vectors:
    """Seconds from each window's first event to its last, N."""
    return (windows.end_us_N - windows.start_us_N) / US_PER_SECOND


def _seconds_to_next(windows: SeenWindows) -> Vectors:
    """For each event of a window the seconds to the window's next; 0 for its last."""
    window_R, event_R = windows.event_rows
    passed_R = np.zeros(len(event_R))
    passed_R[:-1] = np.diff(windows.time_us_E[event_R]) / US_PER_SECOND
    passed_R[:-1][np.diff(window_R) != 0] = 0.0
    return passed_R


def _longest(windows: SeenWindows, passed_R: Vectors) -> Vectors:
    longest_N = np.zeros(len(windows))
    np.maximum.at(longest_N, windows.event_rows[0], passed_R)
    return longest_N


def _transition_R(windows: SeenWindows, fold: Fold) -> tuple[Ints, int]:
    """For each event of a window the column of its sensor and the next other one's; the transitions
    that training windows have most often have columns."""
    window_R, event_R = windows.event_rows
    sensor_R = windows.sensor_E[event_R]
    code_R = np.full(len(sensor_R), -1, dtype=np.int64)
    code_R[:-1] = sensor_R[:-1] * (int(sensor_R.max(initial=0)) + 1) + sensor_R[1:]
    is_none_R = np.ones(len(sensor_R), dtype=bool)
    is_none_R[:-1] = (np.diff(window_R) != 0) | (np.diff(sensor_R) == 0)
    code_R[is_none_R] = -1
    in_training_R = np.isin(window_R, fold.train) & ~is_none_R
    codes, often = np.unique(code_R[in_training_R], return_counts=True)
    known = np.sort(codes[np.argsort(-often, kind="stable")[:_MOST_TRANSITIONS]])
    return indices_in(known, code_R), len(known)
