"""Studies on disk whose ledgers are written by hand: any number of trainings, none of them run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from casas_ray.config import Recipe, flat
from casas_ray.records.ledger import Ledger
from casas_ray.records.rule import new_rule
from casas_ray.records.study_record import STUDY_FILE, StudyRecord, read_study
from casas_ray.sealed import write_sealed
from support.recipes import SMALL


def write_study(path: Path, text_model: str, seeds: Sequence[int]) -> Path:
    """A study file of two arms, each of which ends well after two epochs of 18 steps."""
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({ ({**SMALL, 'text.model': text_model})!r})\n"
        f"STUDY = Study(question='Less?', base=BASE, seeds={tuple(seeds)!r},\n"
        "    arms=each('model.dropout', [0.0]))\n"
    )
    return path


FAILED = None
"""Where a value is wanted: this training diverged."""


def study_on_disk(
    folder: Path,
    values: Mapping[str, Sequence[float | None]],
    *,
    question: str = "Which one?",
    changes: Mapping[str, Mapping[str, object]] | None = None,
    validations: int = 6,
) -> StudyRecord:
    """A study with these best metrics by arm and seed; the base must be the first arm.

    `changes` has settings by arm, in which its ledgers differ from the base's.
    """
    trials = [
        (arm, seed, f"{arm}-seed{seed}") for arm in values for seed in range(len(values[arm]))
    ]
    seeds = range(max(map(len, values.values())))
    rule = new_rule([arm for arm in values if arm != "base"], seeds, 0.01)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "study": folder.name.partition("-")[0],
        "question": question,
        "homes": ["milan"],
        "quick": True,
        "caveats": ["SIMULATED home"],
        "trials": trials,
        "rule": rule.model_dump(mode="json"),
        "changes": {"data.simulated": True},
    }
    write_sealed(folder / STUDY_FILE, about)
    for arm, seed, name in trials:
        recipe = flat(Recipe()) | dict((changes or {}).get(arm, {})) | {"seed": seed}
        _train(folder / name, values[arm][seed], recipe, validations)
    return read_study(folder)


def _train(
    folder: Path, best: float | None, recipe: Mapping[str, object], validations: int
) -> None:
    ledger = Ledger(folder)
    packages = {"torch": "2.13.0", "numpy": "2.4.6"}
    about = {"git_commit": "a" * 40, "git_dirty": False, "device": "cpu", "python": "3.11.7"}
    info = {"recipe": recipe, "packages": packages, "fingerprint": "f" * 12, "total_steps": 100}
    ledger.append("start", 0, info={**about, **info})
    top = 0.2 if best is None else best
    for index in range(validations + 1):
        step = 100 * index // validations
        value = top * (1 - 0.9 ** (12 * index / validations)) / (1 - 0.9**12)
        metrics = {f"val/recall@{k}": value * scale for k, scale in ((1, 0.3), (5, 1.0), (10, 1.7))}
        metrics |= {"val/recall_mean": top if index == validations else value}
        metrics |= {"val/clip_loss": 4.0 - value, "val/gallery": 504.0}
        metrics |= {"val/chance_recall_mean": 0.011, "val/chance_recall@1": 0.002}
        ledger.append("metrics", step, metrics=metrics)
    if best is None:
        ledger.append("end", 60, status="diverged", error="the loss is nan at step 60")
        return
    ledger.append("checkpoint", 100, is_best=True)
    ledger.append("end", 100, status="finished")
