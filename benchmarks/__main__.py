"""`make bench`: every figure, printed as a table. Simulated data, labelled so."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Before numpy and torch, which settle their threads while they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks import captions, corpus, maps, store, tracking
from benchmarks.step import measure, measure_on_gpu, measure_recipe, padding
from casas_ray.catalog import find_base
from casas_ray.config import DataConfig
from casas_ray.corpus.bringing import link_log
from casas_ray.records.run_result import RunResult

REAL_LOG = Path(__file__).parents[2] / "shared" / "casas" / "al_smarthome" / "data.txt"

out = Console(width=110)


def shown(title: str, rows: list[tuple[str, str]]) -> None:
    """Print one small table."""
    table = Table(title=title, show_header=False, title_justify="left")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def command_times() -> list[tuple[str, str]]:
    """Wall time of commands that plan, the median of five."""
    rows = []
    for words in (["--help"], ["plan", "milan_ablation_mlm"]):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            command = [sys.executable, "-m", "casas_ray", *words]
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
        rows.append((f"casas-ray {' '.join(words)}", f"{np.median(times):.2f} s"))
    return rows


def shown_figures(figures: dict[str, float]) -> str:
    """Names and values in a row."""
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def step_rates() -> list[tuple[str, str]]:
    """The train step on one thread, dropout and masking on; the larger sizes with fewer pairs."""
    torch.set_num_threads(1)
    wanted = [(size, events, 128) for size in ("tiny", "baseline") for events in (20, 50)]
    wanted += [("small", 20, 128), ("medium", 20, 32), ("large", 20, 32)]
    return [
        (
            f"{size}, {events} events, batch {batch}",
            shown_figures(measure(size, events, batch=batch)),
        )
        for size, events, batch in wanted
    ]


def context_rates() -> list[tuple[str, str]]:
    """The train step of `context` on one thread, with its windows together and one by one."""
    torch.set_num_threads(1)
    recipe = find_base("context", here=False)
    changes = {"together": {}, "one by one": {"data.context.windows": 1}}
    return [
        (f"context, windows {how}", shown_figures(measure_recipe(recipe.replace(change))))
        for how, change in changes.items()
    ]


def data_at_hand() -> tuple[str, DataConfig]:
    """The real log where it is at hand, else a simulated one, and what to call it."""
    if not REAL_LOG.exists():
        return "SIMULATED", DataConfig.build({"simulated": True})
    link_log("al_smarthome", REAL_LOG)
    return "real log", DataConfig.build({"homes": ("al_smarthome",)})


def caption_rates() -> list[tuple[str, str]]:
    """How many captions a second become vectors, on one core and on all."""
    name, data = data_at_hand()
    return [
        (f"{name}, {cores} core(s), {what}", text)
        for cores in sorted({1, os.cpu_count() or 1})
        for what, text in captions.rates(data, cores)
    ]


def padding_shares() -> list[tuple[str, str]]:
    """What windows of unlike length cost; of the real log where one is at hand."""
    name, data = data_at_hand()
    rows = []
    for seconds in (30.0, 60.0, 120.0):
        for batch in (64, 128, 256):
            kind = {"data.windows.kind": "fixed_duration", "data.windows.seconds": seconds}
            shares = padding(kind, batch, data)
            text = f"{shares['places']:.1%} of places, {shares['arithmetic']:.1%} of arithmetic"
            rows.append((f"{name}, {seconds:g} s, {batch}", text))
    return rows


def gpu_rates() -> list[tuple[str, str]]:
    """The train step on a GPU at the batches that fill one; only where one is at hand."""
    if not torch.cuda.is_available():
        return [("GPU", "none at hand: nothing was measured")]
    settings = itertools.product(
        ("tiny", "baseline", "large"),
        (20, 50),
        (128, 1024, 4096),
        ("eager", "compiled", "cuda_graphs"),
    )
    return [
        (
            f"{size}, {events} events, batch {batch}, {how}",
            shown_figures(measure_on_gpu(size, events, batch, how)),
        )
        for size, events, batch, how in settings
    ]


def store_figures() -> list[tuple[str, str]]:
    """What rows and checkpoints cost on their way to the study's store."""
    return [(name, f"{value:,.3g}") for name, value in store.figures().items()]


def tracking_cost() -> list[tuple[str, str]]:
    """What ten logs a second cost a step, W&B offline."""
    return [(name, f"{value:.2f}") for name, value in tracking.cost().items()]


MEMORY_CASES: list[tuple[str, int, tuple[str, ...]]] = [
    ("milan_tiny", 128, ()),
    ("milan_tiny", 128, ("optim.pieces=4",)),
    ("milan_small", 128, ()),
    ("milan_baseline", 128, ()),
    ("milan_baseline", 128, ("optim.pieces=4",)),
    ("milan_baseline", 128, ("optim.ema_decay=0.99", "loss.bank_size=4096")),
    ("milan_medium", 32, ()),
    ("milan_large", 32, ()),
]


def memory_and_start() -> list[tuple[str, str]]:
    """Peak memory of a training and the time to its first step, in a process of its own each."""
    rows = []
    for base, batch, words in MEMORY_CASES:
        command = [sys.executable, "-m", "casas_ray", "train", base, "--simulated", "--profile"]
        command += ["--json", "--machine", "debug", "data.simulate.days=3"]
        command += [f"optim.batch_size={batch}", *words]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        taken = json.loads(ended.stdout)
        text = f"{taken['peak_memory_mib']:,.0f} MiB, first step {taken['first_step_s']:.1f} s"
        rows.append((" ".join([base, f"batch {batch}", *words]), text))
    return rows


def sweep_share() -> list[tuple[str, str]]:
    """How much of a quick sweep's time its trials spend in the loop."""
    command = [sys.executable, "-m", "casas_ray", "tune", "milan_ablation_mlm", "--simulated"]
    command += ["--quick", "--no-wandb", "--json", "data.simulate.days=5"]
    subprocess.run(command, check=True, capture_output=True)  # data and vectors
    start = time.perf_counter()
    ended = subprocess.run([*command, "--fresh"], check=True, capture_output=True, text=True)
    wall = time.perf_counter() - start
    runs = sorted(Path(json.loads(ended.stdout)["folder"]).glob("*/ledger.jsonl"))
    ledgers = [RunResult.read(path.parent).rows for path in runs]
    inside = sum(rows[-1]["time"] - rows[0]["time"] for rows in ledgers)
    first = min(rows[0]["time"] for rows in ledgers)
    last = max(rows[-1]["time"] for rows in ledgers)
    slots = os.cpu_count() or 1
    return [
        ("quick sweep, SIMULATED, wall", f"{wall:.0f} s for {len(runs)} trials, {slots} at a time"),
        ("command to first trial, last trial to prompt", f"{wall - (last - first):.1f} s"),
        ("trials' share of the time between", f"{inside / slots / (last - first):.0%}"),
        ("trials' share of the whole wall", f"{inside / slots / wall:.0%}"),
    ]


def worker_difference() -> list[tuple[str, str]]:
    """The same recipe on one and on two gloo workers: how far their losses are apart."""
    command = [sys.executable, "-m", "casas_ray", "train", "milan_tiny", "--simulated", "--quick"]
    command += ["--no-wandb", "--json", "data.simulate.days=5", "tracking.log_every=10"]
    losses = {}
    for machine in ("laptop", "two-workers"):
        with tempfile.TemporaryDirectory(prefix="casas-ray-bench-run-") as folder:
            words = ["optim.epochs=4", "--machine", machine, "--output-dir", folder]
            subprocess.run([*command, *words], check=True, capture_output=True)
            losses[machine] = {
                row["step"]: row["metrics"]["train/total_loss"]
                for row in RunResult.read(Path(folder)).rows
                if "train/total_loss" in row.get("metrics", {})
            }
    alone, together = losses["laptop"][50], losses["two-workers"][50]
    return [
        ("train/total_loss at step 50, 1 and 2 workers", f"{alone:.7f} and {together:.7f}"),
        ("relative difference", f"{abs(alone - together) / alone:.1e}"),
    ]


def main() -> None:
    """Print all figures, measured in a data folder of their own."""
    with tempfile.TemporaryDirectory(prefix="casas-ray-bench-") as folder:
        os.environ["CASAS_RAY_DATA"] = folder
        shown("Commands", command_times())
        shown("Corpus, one core, SIMULATED and generated", corpus.rows(Path(folder)))
        shown("Train step, one thread, fp32, SIMULATED windows", step_rates())
        shown("Train step with context, one thread, fp32, SIMULATED windows", context_rates())
        shown("Caption vectors, the default text model", caption_rates())
        shown("Padding of windows by time, by batch", padding_shares())
        shown("Train step, GPU", gpu_rates())
        shown("Map of clusters, SIMULATED", maps.rows())
        shown("Tracking at ten logs a second, tiny, batch 32", tracking_cost())
        shown("The study's store, baseline", store_figures())
        shown("Memory and start, SIMULATED windows", memory_and_start())
        shown("Sweep", sweep_share())
        shown("Workers, tiny, fp32, SIMULATED", worker_difference())


if __name__ == "__main__":
    main()
