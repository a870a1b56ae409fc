"""Features made by hand of a window's own events."""

# N windows, R events of windows (one that lies in two windows counts twice), P columns

import numpy as np

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.fitted import pair_E, transition_R
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, SeenWindows

_SECONDS_OF_HOUR = 3600 * US_PER_SECOND


def counts(windows: SeenWindows, fold: Fold) -> Vectors:
    """What anybody would try first: events by sensor and by state, their number, and the time of
    day as a point on a circle."""
    known = fold.columns(windows)
    coded = ((known.sensor, windows.sensor_E), (known.state, windows.state_E))
    parts = [counted(windows, column_R(windows, codes, codes_E)) for codes, codes_E in coded]
    length_N1 = windows.ranges.length[:, None].astype(np.float64)
    return np.concatenate([length_N1, *parts, day_circle(windows.start_us_N, harmonics=1)], axis=1)


def rich(windows: SeenWindows, fold: Fold) -> Vectors:
    """Counts by sensor and state together, the hour, durations, and which sensor follows which."""
    known = fold.columns(windows)
    sensor_R = column_R(windows, known.sensor, windows.sensor_E)
    passed_R = _seconds_to_next(windows)
    durations = np.stack([duration_seconds(windows), _longest(windows, passed_R)], axis=1)
    hour_N = windows.start_us_N % US_PER_DAY // _SECONDS_OF_HOUR
    dwell_NP = counted(windows, sensor_R, weights=passed_R)
    return np.concatenate(
        [
            counted(windows, column_R(windows, known.pair, pair_E(windows))),
            np.log1p(dwell_NP),
            np.log1p(durations),
            counted(windows, _columned(known.transition, transition_R(windows))),
            np.eye(24)[hour_N],
            day_circle(windows.start_us_N, harmonics=4),
        ],
        axis=1,
    )


def mix(windows: SeenWindows, fold: Fold) -> Vectors:
    """A few numbers whose distances mean something: the root of each sensor and state's share, half
    a time of day, a tenth of the logarithm of the duration."""
    pair_R = column_R(windows, fold.columns(windows).pair, pair_E(windows))
    shares_NP = counted(windows, pair_R) / windows.ranges.length[:, None]
    middle_us_N = (windows.start_us_N + windows.end_us_N) // 2
    log_duration_N1 = np.log1p(duration_seconds(windows))[:, None]
    parts = [np.sqrt(shares_NP), 0.5 * day_circle(middle_us_N, harmonics=2), 0.1 * log_duration_N1]
    return np.concatenate(parts, axis=1)


def column_R(windows: SeenWindows, known: Ints, codes_E: Ints) -> tuple[Ints, int]:
    """For each event of a window the column of its code, and the number of columns.

    A code that is not known has the number of columns for its own.
    """
    _, event_R = windows.event_rows
    return _columned(known, codes_E[event_R])


def _columned(known: Ints, codes_R: Ints) -> tuple[Ints, int]:
    return indices_in(known, codes_R), len(known)


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
