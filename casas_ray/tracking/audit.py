"""What leaves this machine, class by class, read off the very values that are sent."""

from collections.abc import Sequence
from pathlib import Path

from casas_ray.config import Tracking
from casas_ray.tracking.outgoing import GRAPH, Json, Outgoing
from casas_ray.tracking.privacy import PRIVATE_SETTINGS

_OWN = [
    "the versions of wandb and of Python, and which of wandb's features are used",
    "'a machine' for the host, 'casas-ray' for the program",
]
_NO_ENTITY = "the entity of the key"


def classes(runs: Sequence[Outgoing], tracking: Tracking) -> dict[str, list[str]]:
    """By class, what of these W&B runs leaves this machine, and what does not."""
    told = [run.about for run in runs]
    config = {name for about in told for name in about["config"]}
    return {
        "project and entity": _distinct(
            [text for about in told for text in (about["project"], about["entity"] or _NO_ENTITY)]
        ),
        "W&B runs": [f"{about['name']} ({about['job_type']}, {about['id']})" for about in told],
        "name, group, tags and notes": _distinct(
            [
                text
                for about in told
                for text in (about["name"], about["group"], *about["tags"], about["notes"])
                if text
            ]
        ),
        "settings and facts": sorted(config),
        **_logged([name for run in runs for row in run.rows for name in row]),
        "summary": _distinct([name for run in runs for name in run.summary]),
        "structure of the model": _distinct([part for run in runs for part in run.parts]),
        "code that git tracks": _files(runs, "code"),
        "weights": _files(runs, "model"),
        "W&B's own": _OWN,
        "STAYS HERE": [
            "captions, sensor rows, raw lines and sensor names",
            "the command line, absolute paths, host and user names, keys",
            *sorted(PRIVATE_SETTINGS),
            *([] if tracking.log_model else ["weights and checkpoints"]),
        ],
    }


def _logged(names: Sequence[str]) -> dict[str, list[str]]:
    """What is logged, by class; none is left out, for what is of no other class is a metric."""
    found: dict[str, set[str]] = {
        "metrics": set(),
        "metrics of test days": set(),
        "histograms": set(),
        "metadata of models": set(),
        "tables and charts": set(),
    }
    for name in names:
        found[_class_of(name)].add(name)
    return {kind: sorted(held) for kind, held in found.items()}


def _class_of(name: str) -> str:
    group, slash, _ = name.partition("/")
    if group in ("parameters", "gradients"):
        return "histograms"
    if group == "test":
        return "metrics of test days"
    if group.endswith("_model"):
        return "metadata of models"
    return "metrics" if slash or name == "global_step" else "tables and charts"


def run_by_run(runs: Sequence[Outgoing]) -> list[Json]:
    """Each W&B run with all that it is told, as JSON can hold it."""
    return [
        {
            **run.about,
            "history": sorted({name for row in run.rows for name in row}),
            "summary": list(run.summary),
            "files": {kind: _sized(path) for kind, path in (run.files or {}).items()},
            **({GRAPH: list(run.parts)} if run.parts else {}),
        }
        for run in runs
    ]


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _files(runs: Sequence[Outgoing], kind: str) -> list[str]:
    return [_sized(run.files[kind]) for run in runs if run.files and kind in run.files]


def _sized(path: Path) -> str:
    return f"{path.name}, {path.stat().st_size:,} bytes"
