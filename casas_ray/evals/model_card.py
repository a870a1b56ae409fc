"""The model card of an export: what it learned from, how it was judged, and what it is not for."""

from collections.abc import Mapping
from pathlib import Path

from casas_ray.evals.trained_run import TrainedRun
from casas_ray.names import plain
from casas_ray.records.run_result import RunResult
from casas_ray.records.verdict import recorded_verdict
from casas_ray.sealed import read_sealed

_DEALT = {
    "chronological": "by day in order of time",
    "random_days": "by day at random, which is easier than in order of time",
    "leave_home_out": "one home is left out",
}


def model_card(run: TrainedRun, clusters: Path | None) -> str:
    """The card as Markdown.

    Raises:
        DataError: the set, the verdict of the test days or the clusters are damaged.
    """
    parts = [
        _heading(run),
        _data(run),
        _results(run),
        _clusters(clusters) if clusters is not None else "",
        _limits(run),
        _USE,
    ]
    return "\n".join(part for part in parts if part)


def _heading(run: TrainedRun) -> str:
    caveats = f"\n**{', '.join(run.caveats)}**\n" if run.caveats else ""
    recipe = run.recipe
    return f"""# {plain(recipe.name)} on {plain(recipe.data.label)}, seed {recipe.seed}
{caveats}
A dual encoder of smart-home sensor events and text: windows of events and captions as vectors of
one space, of {recipe.model.embedding} numbers. The text tower is `{plain(recipe.text.model)}`,
frozen, and not part of this folder. The checkpoint is that of step {run.step:,}, which validation
chose by `{recipe.optim.select_by}`.
"""


def _data(run: TrainedRun) -> str:
    manifest = run.data.prepared.manifest
    counts = ", ".join(f"{name} {count:,}" for name, count in manifest["windows"].items())
    windows, split = run.recipe.data.windows, run.recipe.data.split
    by_events = windows.kind == "fixed_length"
    cut = f"{windows.length} events" if by_events else f"{windows.seconds:g} seconds"
    return f"""## Data

- Fingerprint of the set: `{manifest["fingerprint"]}`
- Homes: {plain(", ".join(manifest["homes"]))}
- Windows of {cut}, overlapping by {windows.overlap:.0%}: {counts}
- Days are dealt {_DEALT.get(split.kind, split.kind)}; no window has events of two splits.
- Captions are made of sensors, rooms and times; labels are seen by no training.
"""


def _results(run: TrainedRun) -> str:
    result = RunResult.read(run.folder)
    lines = ["## Results", ""]
    best, untrained = result.best(), result.untrained()
    if best:
        lines += ["Validation days:", "", *_table(best, untrained), ""]
    verdict = recorded_verdict(run.folder)
    if verdict is None:
        lines.append("Nobody looked at the test days.")
    else:
        when = verdict.looked_at or "a time that nobody wrote down"
        columns = verdict.columns
        lines += [f"Test days, looked at once, on {when}:", ""]
        lines += _table(columns.get("trained", {}), columns.get("untrained", {}))
    return "\n".join([*lines, ""])


def _table(trained: Mapping[str, float], untrained: Mapping[str, float]) -> list[str]:
    head = ["| metric | trained | untrained |", "| --- | ---: | ---: |"]
    rows = [
        f"| {name} | {value:.3f} | {_number(untrained.get(name))} |"
        for name, value in sorted(trained.items())
    ]
    return [*head, *rows]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _clusters(folder: Path) -> str:
    about = read_sealed(folder / "clusters.json", hint="`casas-ray cluster` makes it anew.")
    row = about["rows"][about["features"]]
    known = [name for name in ("nmi", "ari", "silhouette", "agreement") if name in row]
    scores = ", ".join(f"{name} {row[name]:.3f}" for name in known)
    return f"""## Clusters

`{folder.name}`: {row["k"]} clusters of {plain(about["features"])} by {about["method"]}, fitted on
training days without labels; on {about["days"]}: {scores}.
"""


def _limits(run: TrainedRun) -> str:
    homes = run.recipe.data.homes
    lines = [
        "## Limits",
        "",
        f"- It knows the sensors of {plain(', '.join(homes))} by their names; in another home its "
        "vectors mean nothing."
        if not run.recipe.model.sensor_text
        else "- It reads sensors as text, and was judged on the homes above alone.",
        "- Names of clusters are the label of one window, or what a person called them: they are "
        "no diagnosis.",
        "- `homes.json` tells which sensors a home has and in which rooms: share it as you would a "
        "floor plan.",
    ]
    if any(caveat.startswith("SIMULATED") for caveat in run.caveats):
        lines.append("- SIMULATED: no number here says anything of a real home.")
    if "quick" in run.caveats:
        lines.append("- quick: a tiny model and few epochs, to try that everything works.")
    return "\n".join([*lines, ""])


_USE = """## Use

```python
import casas_ray as cr

model = cr.load("THIS FOLDER")
model.encode_windows("new_log.txt")  # N x D; or columns time, sensor and state
model.encode_text(["someone walks to the bathroom at night"])
model.activities("new_log.txt")  # where clusters are with it
```

`casas-ray apply THIS_FOLDER --log new_log.txt` tells the same of a log as it comes.
"""
