"""Names for clusters that nobody named yet: where they happen, when, and how long they take."""

from collections import Counter
from collections.abc import Sequence

from casas_ray.corpus.captions import span_words
from casas_ray.evals.maps.cluster_facts import ClusterFacts, Home
from casas_ray.evals.window_facts import UNKNOWN

_MOST_OF_IT = 0.6
_NEARLY_ALL = 0.75
_LONGEST_ARC = 8
"""Hours; what is spread over more happens at any time."""

_UNLIKE = 3.0
"""Times the home's median length, from which on the length is told."""

_PARTS = ((5, "night"), (8, "early morning"), (12, "morning"), (17, "afternoon"), (21, "evening"))


def proposed_names(clusters: Sequence[ClusterFacts], home: Home) -> dict[int, str]:
    """By cluster a name such as `Kitchen, evening (17-21 h)`; no two have the same."""
    names = {each.cluster: _name(each, home) for each in clusters}
    for tell_apart in (_by_sensor, _by_length):
        counts = Counter(names.values())
        names |= {
            each.cluster: f"{names[each.cluster]}, {tell_apart(each)}"
            for each in clusters
            if counts[names[each.cluster]] > 1
        }
    return _numbered(names)


def _name(facts: ClusterFacts, home: Home) -> str:
    parts = [_where(facts), _when(facts.hours)]
    if facts.seconds >= _UNLIKE * home.seconds > 0.0:
        parts.append("long")
    elif 0.0 < _UNLIKE * facts.seconds <= home.seconds:
        parts.append("brief")
    told = ", ".join(parts)
    return told[:1].upper() + told[1:]


def _where(facts: ClusterFacts) -> str:
    rooms = [room for room in facts.rooms if room.name != UNKNOWN]
    if not rooms:
        return facts.sensors[0].name if facts.sensors else "nowhere"
    if rooms[0].share >= _MOST_OF_IT:
        return rooms[0].name
    if len(rooms) > 1 and rooms[0].share + rooms[1].share >= _NEARLY_ALL:
        return f"{rooms[0].name} and {rooms[1].name}"
    return f"mostly {rooms[0].name}"


def _when(hours: Sequence[float]) -> str:
    first, length = _arc(hours)
    if length > _LONGEST_ARC:
        return "any time"
    middle = (first + length / 2) % 24
    part = next((name for until, name in _PARTS if middle < until), "late evening")
    return f"{part} ({first}-{(first + length) % 24} h)"


def _arc(hours: Sequence[float]) -> tuple[int, int]:
    """The first hour and the number of hours of the shortest stretch with most of the windows."""
    wanted = _MOST_OF_IT * sum(hours)
    around = [*hours, *hours]
    for length in range(1, 24):
        sums = [sum(around[first : first + length]) for first in range(24)]
        if max(sums) >= wanted:
            return sums.index(max(sums)), length
    return 0, 24


def _by_sensor(facts: ClusterFacts) -> str:
    """The sensor that it has more of than the home has."""
    best = max(facts.sensors, key=lambda sensor: sensor.share * sensor.times, default=None)
    return f"most {best.name}" if best else "no sensor"


def _by_length(facts: ClusterFacts) -> str:
    return f"about {span_words(facts.seconds)}"


def _numbered(names: dict[int, str]) -> dict[int, str]:
    seen: Counter[str] = Counter()
    told = {}
    for cluster, name in names.items():
        seen[name] += 1
        told[cluster] = f"{name} ({seen[name]})" if seen[name] > 1 else name
    return told
