"""What each sensor said last, as of any event."""

# E records, K sensors, B moments

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.loader.event_records import EventsOnce, Ints

_DAY_SECONDS = US_PER_DAY / US_PER_SECOND


@dataclass(frozen=True)
class Memory:
    """The events of each sensor, so that its last one before any other is found at once."""

    once: EventsOnce
    sensor_id_K: NDArray[np.int32]
    sensor_text_K: NDArray[np.int32]
    """What the sensor is in words. Of sensors that the vocabulary does not know, those of one
    description are one."""

    state_E: NDArray[np.int32]
    keys_E: Ints
    """Sorted: the sensor's index times E plus the record's."""

    @classmethod
    def of(cls, once: EventsOnce, fields: tuple[str, ...]) -> "Memory":
        """The memory of a split's events."""
        records = once.events[: len(once.time_us_E)]
        sensor_E = records["ids"][:, fields.index("sensor")].astype(np.int64)
        pairs = np.stack([sensor_E, records["sensor_text"].astype(np.int64)], axis=1)
        known, column_E = np.unique(pairs, axis=0, return_inverse=True)
        keys_E = np.sort(column_E.ravel() * len(records) + np.arange(len(records)))
        state_E = records["ids"][:, fields.index("state")].astype(np.int32)
        texts = known.astype(np.int32)
        return cls(once, texts[:, 0].copy(), texts[:, 1].copy(), state_E, keys_E)

    def before(self, record_B: Ints) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Before each of these records, B x K: the logarithm of the time since the sensor's last
        event, 1 being a day or more; and the id of what it said then, 0 where it was not heard."""
        events = len(self.state_E)
        index_K = np.arange(len(self.sensor_id_K))
        found_BK = np.searchsorted(self.keys_E, index_K * events + record_B[:, None]) - 1
        key_BK = self.keys_E[np.maximum(found_BK, 0)]
        last_BK = key_BK % events
        known_BK = (found_BK >= 0) & (key_BK // events == index_K)
        known_BK &= last_BK >= self.once.stretch_first_E[record_B][:, None]
        time_us_E = self.once.time_us_E
        passed_BK = (time_us_E[record_B][:, None] - time_us_E[last_BK]) / US_PER_SECOND
        passed_BK = np.minimum(np.where(known_BK, passed_BK, 0.0), _DAY_SECONDS)
        since_BK = np.log1p(passed_BK) / np.log1p(_DAY_SECONDS)
        return since_BK.astype(np.float32), np.where(known_BK, self.state_E[last_BK], 0)
