"""Names as W&B takes them: what it would refuse is changed here, so that no run is lost for it."""

import hashlib
from collections.abc import Iterable

_LONGEST_NAME, _LONGEST_TAG = 128, 64
_NOT_IN_A_PROJECT = str.maketrans(dict.fromkeys("/\\#?%:", "-"))


def fitted(text: str, *, most: int = _LONGEST_NAME) -> str:
    """The text itself where W&B takes it as a name; else shortened, without characters that cannot
    be shown, and with a hash that keeps unlike names apart."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return _marked(text, shown, most)


def fitted_tags(tags: Iterable[str]) -> list[str]:
    """The tags as W&B takes them, none of them empty or twice."""
    return list(dict.fromkeys(fitted(tag, most=_LONGEST_TAG) for tag in tags if tag.strip()))


def fitted_project(text: str) -> str:
    """The name of a project as W&B takes it, which also becomes a part of addresses."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return _marked(text, shown.translate(_NOT_IN_A_PROJECT), _LONGEST_NAME) or "uncategorized"


def hashed(text: str) -> str:
    """16 hexadecimal digits that stand for a text; short enough for a W&B id."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _marked(text: str, shown: str, most: int) -> str:
    if shown == text and len(text) <= most:
        return text
    mark = f"-{hashed(text)[:8]}"
    return shown[: most - len(mark)] + mark
