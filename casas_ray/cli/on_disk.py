"""Commands about what lies on disk: runs, plot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, waiting
from casas_ray.cli.typed_path import Place, RunOrStudy, a_place, path_option
from casas_ray.errors import DataError, SetupError
from casas_ray.files import private_folder, shown, write_whole
from casas_ray.records.own_folder import STUDY_FILE

if TYPE_CHECKING:
    from casas_ray.records.run_result import RunResult


@command("table", "plot", "evaluate", "tune")
def runs(
    folder: Annotated[
        Place | None,
        typer.Argument(
            metavar="FOLDER",
            help="Of runs and studies, or of one of them, or an address in a storage; "
            "else data/runs.",
            parser=a_place,
            autocompletion=completion.runs,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the runs on disk: study, arm, seed, state, best, age.

    What was worked on last stands last. `killed` is a run without an end that nobody works on.

    Example: casas-ray runs
    """
    from casas_ray.cli import disk_tables
    from casas_ray.records.on_disk import on_disk

    places = [paths.runs()] if folder is None else folder.all_here()
    # Nothing was trained yet: that is an answer, and no mistake.
    with waiting("reading the ledgers"):
        held = [each for place in places if folder or place.is_dir() for each in on_disk(place)]
    if as_json:
        about = [(each, {"study": each.study, "caveats": list(each.caveats)}) for each in held]
        print_json([told | run.as_dict() for each, told in about for run in each.runs])
    elif not held:
        out.print(
            f"No run lies in {shown(places[0])}; first: casas-ray tune STUDY, or casas-ray train"
        )
    else:
        out.print(*disk_tables.runs(held), sep="\n")


@command("table", "runs", "sync")
def plot(
    run: RunOrStudy,
    output_dir: Annotated[
        Path | None, path_option("--output-dir", help="Where to put them; else that folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the curves of a run or a study: curves.png, curves.html.

    Read off the ledgers, also while it trains. The page needs no network.

    Example: casas-ray plot data/runs/milan_ablation_mlm-milan-1a2b3c4d
    """
    folder = run.here()
    with waiting("drawing"):
        written = _drawn(folder, output_dir or folder)
    if as_json:
        print_json({path.suffix[1:]: str(path) for path in written})
    else:
        out.print(f"The curves lie in {' and '.join(map(shown, written))}")


def _drawn(folder: Path, target: Path) -> list[Path]:
    from casas_ray.report.curves import drawing

    title, caveats, results = _to_draw(folder)
    curves = drawing(title, caveats, results)
    if not curves.panels:
        raise DataError(
            f"no ledger in {shown(folder)} has a metric yet.", hint="train it, then draw it."
        )
    try:
        from casas_ray.report.picture import pictures

        png, page = pictures(curves)
    except ModuleNotFoundError as error:
        raise SetupError(
            f"'{error.name}' is not installed, and draws the curves.",
            hint="pip install 'casas-ray[plot]'",
        ) from None
    private_folder(target)
    written = [target / "curves.png", target / "curves.html"]
    for path, content in zip(written, (png, page), strict=True):
        write_whole(path, content)
    return written


def _to_draw(folder: Path) -> "tuple[str, tuple[str, ...], dict[tuple[str, int], RunResult]]":
    from casas_ray.records.run_record import RunRecord
    from casas_ray.records.run_result import RunResult
    from casas_ray.records.study_record import read_study

    if (folder / STUDY_FILE).is_file():
        study = read_study(folder)
        return f"{study.study} on {', '.join(study.homes)}", study.marks, study.results()
    record = RunRecord.read(folder)
    key = (record.arm or folder.name, record.recipe.seed)
    return record.name, record.marks, {key: RunResult.read(folder)}
