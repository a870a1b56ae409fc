"""A trained run written as a folder that needs nothing else; exported.py opens it."""

import shutil
from pathlib import Path

from casas_ray.corpus.new_events import KnownHomes
from casas_ray.errors import RefusedError
from casas_ray.evals.cluster_names import file_of
from casas_ray.evals.exported import CARD, CLUSTERS, CONFIG, EXPORT, FORMAT, HOMES, VOCAB
from casas_ray.evals.fitted_clusters import ARRAYS, MODEL, FittedClusters
from casas_ray.evals.model_card import model_card
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import MARK, is_marked, mark, new_folder_over, sha256_of, shown, write_json
from casas_ray.paths import require_writable
from casas_ray.records.checkpoint_files import WEIGHTS
from casas_ray.sealed import write_sealed

_OURS = frozenset({MARK, WEIGHTS, EXPORT, CONFIG, VOCAB, HOMES, CARD, CLUSTERS})


def export(run: TrainedRun, folder: Path, *, clusters: Path | None = None) -> Path:
    """The folder, with the run's best checkpoint and all that it takes to use it; `clusters` is the
    folder of a clustering of the run that goes with it.

    Raises:
        DataError: the run's set or the clusters are damaged, or gone.
        RefusedError: something lies in the folder that is no export.
        SetupError: nothing can be written there.
    """
    _refuse_strangers(folder)
    require_writable(folder.parent, what="the folder")
    prepared = run.data.prepared
    known = KnownHomes.of(prepared).as_dict()
    # What is damaged is refused before anything is written.
    if clusters is not None:
        FittedClusters.read(clusters)
    with new_folder_over(folder) as draft:
        mark(draft)
        shutil.copyfile(run.checkpoint / WEIGHTS, draft / WEIGHTS)
        write_json(draft / CONFIG, run.recipe.model_dump(mode="json"))
        write_json(draft / VOCAB, known["vocabulary"])
        write_json(draft / HOMES, known["homes"])
        if clusters is not None:
            _copy_clusters(clusters, draft / CLUSTERS / clusters.name)
        (draft / CARD).write_text(model_card(run, clusters), encoding="utf-8")
        about = {
            "format": FORMAT,
            "step": run.step,
            "text_size": run.meta["text_size"],
            "aggregates": run.meta["about"].get("aggregates", 0),
            "fingerprint": prepared.fingerprint,
            "caveats": list(run.caveats),
            "clusters": clusters.name if clusters is not None else "",
            "sha256": {path: sha256_of(draft / path) for path in _hashed(draft)},
        }
        write_sealed(draft / EXPORT, about)
    return folder


def _copy_clusters(clusters: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("clusters.json", ARRAYS, MODEL):
        shutil.copyfile(clusters / name, target / name)
    if file_of(clusters).is_file():
        shutil.copyfile(file_of(clusters), file_of(target))


def _hashed(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    paths = (path.relative_to(folder).as_posix() for path in files)
    return sorted(path for path in paths if path not in (MARK, CARD, EXPORT))


def _refuse_strangers(folder: Path) -> None:
    if not folder.is_symlink() and not folder.exists():
        return
    problem = ""
    if not folder.is_dir() or folder.is_symlink():
        problem = "is no folder"
    elif (found := sorted(path.name for path in folder.iterdir())) and not is_marked(folder):
        problem = f"holds {found[0]!r} and is no export"
    elif found and not (folder / EXPORT).is_file():
        problem = "is a folder of casas-ray, but no export"
    elif strangers := sorted(set(found) - _OURS):
        problem = f"holds {strangers[0]!r}, which is no part of an export"
    if problem:
        raise RefusedError(
            f"{shown(folder)} {problem}.", hint="name a new folder; nothing was written."
        )
