"""The command `report`: a finished study for others to read."""

import glob
from pathlib import Path
from typing import Annotated

import typer

from casas_ray import paths
from casas_ray.cli.app import command
from casas_ray.cli.console import out
from casas_ray.cli.typed_path import Place
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown, write_whole
from casas_ray.records.own_folder import STUDY_FILE
from casas_ray.records.study_record import read_study

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
