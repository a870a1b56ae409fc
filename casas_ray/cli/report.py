"""Commands that show what was trained to a reader: report, compare."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, waiting
from casas_ray.cli.fitting import Table
from casas_ray.cli.tables import heading
from casas_ray.cli.typed_path import Place, a_place
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown, write_whole
from casas_ray.records.own_folder import STUDY_FILE
from casas_ray.records.study_record import read_study

if TYPE_CHECKING:
    from casas_ray.report.side_by_side import SideBySide
    from casas_ray.report.table import Spread

_SHA_LETTERS = 12
_STEPS_SHOWN = 12
"""Of an arm; `casas-ray plot` draws them all."""

_Point = tuple[int, float | None, float | None]

Html = Annotated[bool, typer.Option("--html", help="One offline page; what is written by itself.")]
Csv = Annotated[bool, typer.Option("--csv", help="A line an arm, numbers in full.")]
Markdown = Annotated[bool, typer.Option("--md", help="A table for a README.")]
Latex = Annotated[bool, typer.Option("--latex", help="A table for a paper.")]


@command("table", "plot", "tune")
def report(
    study: Annotated[
        str, typer.Argument(help="A study's folder, its name for the newest, or its address.")
    ],
    html: Html = False,
    as_csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    to: Annotated[Path | None, typer.Option("--to", help="A folder; else the study's own.")] = None,
) -> None:
    """Write a study as one page, or its table for others to read.

    Example: casas-ray report milan_ablation_mlm --html --latex
    """
    record = read_study(folder_named(study))
    folder = to or record.folder
    if not folder.is_dir():
        raise SettingsError(f"{shown(folder)} is no folder.", hint="name one that is there.")
    from casas_ray.report import exports
    from casas_ray.report.page import page
    from casas_ray.report.table import study_table

    if html or not (as_csv or markdown or latex):
        _write(folder / "report.html", page(record))
    formats = {
        "csv": (as_csv, exports.as_csv),
        "md": (markdown, exports.as_markdown),
        "tex": (latex, exports.as_latex),
    }
    asked = {ending: make for ending, (wanted, make) in formats.items() if wanted}
    table = study_table(record.results(), record.rule) if asked else None
    for ending, make in asked.items():
        if table is not None:
            _write(folder / f"report.{ending}", make(table, record))


def _write(path: Path, text: str) -> None:
    write_whole(path, text)
    out.print(f"{shown(path)} ({len(text.encode()) / 1e6:.2f} MB)")


def folder_named(study: str) -> Path:
    """The folder of a study: the one of this path, or the newest of this name.

    Raises:
        DataError: there is none.
        SettingsError, SetupError, RefusedError: as for `copy_here`, of an address.
    """
    if "://" in study:
        return Place(study).here()
    if (Path(study) / STUDY_FILE).exists():
        return Path(study)
    files = list(paths.runs().glob(f"{glob.escape(Path(study).stem)}-*/{STUDY_FILE}"))
    if not files or "/" in study:
        problem = f"{study} holds no study, and none of that name was run."
        raise DataError(problem, hint="see data/runs/")
    return max(files, key=lambda path: path.stat().st_mtime).parent


def _side(metavar: str, says: str) -> typer.models.ArgumentInfo:
    return typer.Argument(
        metavar=metavar, help=says, parser=a_place, autocompletion=completion.runs
    )


@command("runs", "table", "plot", "report")
def compare(
    left: Annotated[Place, _side("A", "The folder of a run or of a study, or its address.")],
    right: Annotated[Place, _side("B", "Another one.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs or studies: settings, code, data and curves.

    Arms are matched by name. It gives no verdict: no rule was written before.

    Example: casas-ray compare data/runs/mine data/runs/theirs
    """
    with waiting("reading the ledgers"):
        from casas_ray.report.side_by_side import read_side, side_by_side

        found = side_by_side(read_side(left.here()), read_side(right.here()))
    if as_json:
        print_json(found.as_dict())
        return
    if found.differences:
        out.print(_differences(found))
    same = ", ".join(found.same)
    out.print(f"The same on both sides: {same}." if same else "Nothing is the same.")
    out.print(_earned(found))
    if any(found.curves.values()):
        out.print(_curves(found))


def _names(found: "SideBySide") -> tuple[str, str]:
    """What heads their columns; A and B besides, for two may have one name."""
    return f"A: {found.left.name}", f"B: {found.right.name}"


def _differences(found: "SideBySide") -> Table:
    table = Table(title="What differs", keys=2)
    for name in ("", "", *_names(found)):
        table.add_column(name)
    for each in found.differences:
        table.add_row(each.group, each.what, *map(_short, (each.left, each.right)))
    return table


def _short(value: str) -> str:
    """A hash by its first letters, as git shows it."""
    is_hash = len(value) >= 40 and set(value) <= set("0123456789abcdef")
    return value[:_SHA_LETTERS] if is_hash else value


def _earned(found: "SideBySide") -> Table:
    if found.is_comparable:
        caption = (
            "B less A: by seed, of the seeds that both have. No verdict: no rule stood before."
        )
    else:
        caption = "They were ranked among other windows, so their numbers do not compare."
    caveats = list(dict.fromkeys([*found.left.caveats, *found.right.caveats]))
    title = heading("recall_mean on validation days, at the chosen step", caveats)
    table = Table(title=title, caption=caption)
    table.add_column("arm", no_wrap=True)
    for name in (*_names(found), "B less A"):
        table.add_column(name, justify="right")
    for arm in found.earned:
        change = arm.change.signed() if arm.change else "-"
        table.add_row(arm.arm, _spread(arm.left), _spread(arm.right), change)
    return table


def _spread(value: "Spread | None") -> str:
    return str(value) if value else "-"


def _curves(found: "SideBySide") -> Table:
    table = Table(title="recall_mean by step, mean over seeds", keys=2)
    table.add_column("arm", no_wrap=True)
    for name in ("step", *_names(found)):
        table.add_column(name, justify="right")
    for arm, points in found.curves.items():
        for step, *values in _thinned(points):
            shown = ["-" if value is None else f"{value:.3f}" for value in values]
            table.add_row(arm, f"{step:,}", *shown)
    return table


def _thinned(points: Sequence[_Point]) -> Sequence[_Point]:
    """At most some points, the last among them, evenly over the training."""
    every = -(-len(points) // _STEPS_SHOWN)
    return points[::-1][::every][::-1]
