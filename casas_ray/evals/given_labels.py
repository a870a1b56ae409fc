"""Labels that a person gave to windows of a run's training days: read from a file, and kept."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from casas_ray.errors import DataError
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown, small_text, why
from casas_ray.names import plain
from casas_ray.sealed import fitted, read_sealed, write_sealed

LABELS_FILE = "labels.json"
WINDOW, LABEL = "window", "label"
"""Columns of the file that a person fills in."""

_LONGEST = 60
_HINT = "fill in the column `label` of what `casas-ray label RUN` wrote, and leave the others."


class _Held(BaseModel):
    fingerprint: str
    labels: dict[str, str]


def given_labels(run: TrainedRun) -> Mapping[str, str]:
    """By id of a window its label; none where nobody gave one.

    Raises:
        DataError: their file is damaged, or of another set.
    """
    path = run.folder / LABELS_FILE
    if not path.is_file():
        return {}
    hint = f"delete {shown(path)}, and give the labels again."
    held = fitted(_Held, read_sealed(path, hint=hint), path, hint=hint)
    if held.fingerprint != run.meta["about"]["fingerprint"]:
        raise DataError(f"{shown(path)} has labels of another set's windows.", hint=hint)
    return held.labels


def take(run: TrainedRun, path: Path) -> Mapping[str, str]:
    """Every label of the run, after those of a file were kept beside it; a later one of the same
    window stands.

    Raises:
        DataError: the file is no such table, names a window that is of no training day, or gives
            one two labels; nothing is kept then.
    """
    known = set(run.data.prepared.windows("train").column("id").to_pylist())
    found: dict[str, str] = {}
    for line, window, label in _rows(path):
        where = f"{shown(path)}, line {line}"
        if window not in known:
            raise DataError(
                f"{where}: no training window is called '{plain(window[:_LONGEST])}'.", hint=_HINT
            )
        if len(label) > _LONGEST or plain(label) != label:
            raise DataError(f"{where}: '{plain(label[:_LONGEST])}' cannot be a label.", hint=_HINT)
        if found.setdefault(window, label) != label:
            raise DataError(
                f"{where}: window {window} is both '{found[window]}' and '{label}'.", hint=_HINT
            )
    if not found:
        raise DataError(f"{shown(path)}: no window has a label.", hint=_HINT)
    labels = {**given_labels(run), **found}
    held = {"fingerprint": run.meta["about"]["fingerprint"], "labels": labels}
    write_sealed(run.folder / LABELS_FILE, held)
    return labels


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Line, window and label of every row that has a label."""
    try:
        # Spreadsheets put a mark before UTF-8.
        reader = csv.DictReader(io.StringIO(small_text(path).removeprefix("\ufeff"), newline=""))
        columns = reader.fieldnames or []
        if WINDOW not in columns or LABEL not in columns:
            raise DataError(
                f"{shown(path)}: its first line has no `{WINDOW}` and `{LABEL}`.", hint=_HINT
            )
        rows = [(reader.line_num, row[WINDOW] or "", row[LABEL] or "") for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{shown(path)}: {why(error)}.", hint=_HINT) from None
    tidy = ((line, window.strip(), " ".join(label.split())) for line, window, label in rows)
    return [row for row in tidy if row[2]]
