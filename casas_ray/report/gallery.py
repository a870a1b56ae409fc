"""Which runs were ranked among the same windows and captions: only such numbers compare."""

from collections.abc import Sequence
from dataclasses import dataclass

from casas_ray.records.run_result import RunResult


@dataclass(frozen=True)
class Gallery:
    """What a run's retrieval was judged on."""

    windows: int
    content: str = ""
    """A hash of the windows' moments and captions; empty for runs from before it was kept."""

    fingerprint: str = ""
    """Of the whole set, which tells galleries apart where `content` is empty."""

    def is_that_of(self, other: "Gallery") -> bool:
        """Whether numbers of the two compare."""
        if self.windows != other.windows:
            return False
        if self.content and other.content:
            return self.content == other.content
        return self.fingerprint == other.fingerprint


def gallery_of(run: RunResult) -> Gallery | None:
    """The gallery of a run's validations; None before its first."""
    seen = run.best() or run.untrained()
    if "val/gallery" not in seen:
        return None
    info = run.info
    content = info.get("galleries", {}).get("val", "")
    return Gallery(int(seen["val/gallery"]), content, info.get("fingerprint", ""))


def common(runs: Sequence[RunResult]) -> Gallery | None:
    """The gallery that all of these runs share; None where they do not, or have none."""
    galleries = [gallery for run in runs if (gallery := gallery_of(run)) is not None]
    if galleries and all(gallery.is_that_of(galleries[0]) for gallery in galleries):
        return galleries[0]
    return None
