"""The table of what vectors tell with few labels, for a terminal."""

from typing import TYPE_CHECKING, Any

from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import lines

if TYPE_CHECKING:
    from casas_ray.cli.judged_tables import Looks

Cells = dict[tuple[str, int], list[dict[str, Any]]]  # Any: what JSON holds
Rows = dict[tuple[str, str, str, bool], Cells]
_UNIT = {"labels a class": "a class", "whole days": "days", "given by a person": "given"}


def few_labels(looks: "Looks", title: str) -> Table:
    """Macro F1 by vectors, reader and amount of labels, what reads a window alone first."""
    from casas_ray.evals.features.featurizer import LEVELS

    rows = _rows(looks)
    amounts = list(dict.fromkeys(key for cells in rows.values() for key in cells))
    amounts.sort(key=lambda key: (list(_UNIT).index(key[0]), key[1]))
    shown = Table(title=title, keys=3)
    shown.add_column("reads", no_wrap=True)
    shown.add_column("vectors")
    shown.add_column("told by", no_wrap=True)
    for how, amount in amounts:
        shown.add_column(f"{amount} {_UNIT[how]}", justify="right")
    for level in LEVELS:
        of_level = [key for key in rows if key[0] == level]
        for key in sorted(of_level, key=lambda key: key[3]):
            cells = [_cell(rows[key].get(amount, [])) for amount in amounts]
            shown.add_row(*key[:3], *cells, style="bold" if key[3] else "")
        shown.add_section()
    shown.caption = lines(
        [
            "Macro F1, mean ± standard deviation over 20 draws of labelled training windows, or of "
            "whole days, the same for all rows. Nothing is tuned: C = 1, and the five nearest."
        ]
    )
    return shown


def _rows(looks: "Looks") -> Rows:
    from casas_ray.evals.judge import FEW

    rows: Rows = {}
    for arm, seeds in looks.items():
        for evaluation in seeds:
            for row in evaluation.extra[FEW]:
                # Baselines are the same for all arms.
                name = f"{row['name']}, {arm}" if row["ours"] and len(looks) > 1 else row["name"]
                key = (row["level"], name, row["reader"], row["ours"])
                cells = rows.setdefault(key, {})
                cells.setdefault((row["how"], row["amount"]), []).append(row)
    return rows


def _cell(seeds: list[dict[str, Any]]) -> str:
    if not seeds:
        return "-"
    mean = sum(row["macro_f1"] for row in seeds) / len(seeds)
    spread = sum(row["macro_f1_sd"] for row in seeds) / len(seeds)
    return f"{mean:.3f} ± {spread:.3f}" if spread else f"{mean:.3f}"
