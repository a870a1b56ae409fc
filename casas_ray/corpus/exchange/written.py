"""Captions from elsewhere, such as a language model's, checked against the windows by their ids."""

from collections.abc import Mapping
from pathlib import Path

from casas_ray.corpus.exchange.json_stream import Json, records
from casas_ray.errors import DataError
from casas_ray.files import shown


class WrittenCaptions:
    """The captions of a file by window id, and which of them were asked for."""

    def __init__(self, path: Path, captions: Mapping[str, tuple[str, ...]]) -> None:
        self._path = path
        self._captions = captions
        self._asked: set[str] = set()

    @classmethod
    def read(cls, name: str) -> "WrittenCaptions":
        """The captions of the file with that path.

        Raises:
            DataError: as for `read_written`.
        """
        return cls(Path(name), read_written(Path(name)))

    def of(self, window: str) -> tuple[str, ...]:
        """The captions of a window.

        Raises:
            DataError: the file has none.
        """
        if window not in self._captions:
            raise DataError(
                f"{shown(self._path)} has no captions for window '{window}'.",
                hint="captions must be made for this very set: its windows and their ids are "
                "written by `casas-ray prepare HOME --json`.",
            )
        self._asked.add(window)
        return self._captions[window]

    def refuse_left_over(self) -> None:
        """Refuse a file that has captions nobody asked for.

        Raises:
            DataError: it has some, so it was made for other windows.
        """
        if len(self._asked) < len(self._captions):
            left = next(window for window in self._captions if window not in self._asked)
            raise DataError(
                f"{shown(self._path)}: sample_id '{left}' is no window of this set "
                f"({len(self._captions) - len(self._asked)} such).",
                hint="captions must be made for this very set, with the same data settings.",
            )


def read_written(path: Path) -> dict[str, tuple[str, ...]]:
    """Captions by window id, from `{"captions": [{"sample_id": ..., "captions": [...]}, ...]}`.

    Raises:
        DataError: the file is torn, an entry is something else, or an id comes twice.
    """
    captions: dict[str, tuple[str, ...]] = {}
    for value, where in records(path):
        window, texts = _checked(value, where)
        if window in captions:
            raise DataError(f"{where}: sample_id '{window}' has captions already.")
        captions[window] = texts
    return captions


def _checked(value: Json, where: str) -> tuple[str, tuple[str, ...]]:
    window = value.get("sample_id") if isinstance(value, dict) else None
    texts = value.get("captions") if isinstance(value, dict) else None
    if not isinstance(window, (str, int)) or isinstance(window, bool):
        raise DataError(f"{where}: wanted an object with a 'sample_id'.")
    if not isinstance(texts, list) or not texts or not all(_is_text(text) for text in texts):
        raise DataError(f"{where}: wanted 'captions', a list of one text or more.")
    return str(window), tuple(texts)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
