"""A W&B server that answers what nobody asked for: training goes on, and nothing is obeyed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recipes import WORDS_WITHOUT_DATA
from support.waiting import LONG
from support.wandb_server import KEY, WandbServer, serving

from casas_ray.names import plain_lines
from casas_ray.records.run_result import RunResult

pytestmark = pytest.mark.slow
DATA = ["data.simulated=true", "data.simulate.days=3", "data.captions.per_window=2"]
EVIL = "\x1b[31m[/bold]\u202e evil"


def refusal(message: str) -> dict:
    return {"errors": [{"message": message, "path": ["upsertBucket"]}]}


def nested(depth: int) -> dict:
    tree: dict = {}
    for _ in range(depth):
        tree = {"upsertBucket": tree}
    return tree


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as made:
        yield made


def environment(server: WandbServer) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name != "WANDB_MODE" and "WANDB_SERVICE" not in name
    }
    return {**own, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}


@pytest.mark.parametrize(
    "answer",
    [
        refusal(""),
        refusal(EVIL),
        refusal("x" * 3_000_000),
        {"upsertBucket": None},
        {"upsertBucket": []},
        nested(500),
        {"upsertBucket": {"bucket": {"id": EVIL, "name": EVIL, "project": None}}},
    ],
    ids=["empty", "escapes", "long", "null", "list", "nested", "names"],
)
def test_training_goes_on_whatever_the_server_says(
    server: WandbServer, tmp_path: Path, text_model: str, answer: dict
):
    asked = server.query
    server.query = lambda sent: answer if "upsertBucket" in sent.get("query", "") else asked(sent)
    run = tmp_path / "run"
    words = ["train", "milan_tiny", *WORDS_WITHOUT_DATA, *DATA, f"text.model={text_model}"]
    words += ["--machine", "debug", "--output-dir", str(run), "optim.epochs=1"]
    ended = subprocess.run(
        [sys.executable, "-m", "casas_ray", *words],
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert RunResult.read(run).status == "finished"
    assert "Traceback" not in ended.stderr
    assert plain_lines(ended.stderr) == ended.stderr
    assert max(map(len, ended.stderr.splitlines())) < 1000


@pytest.mark.parametrize(
    "viewer",
    [None, {}, {"teams": None}, {"teams": {"edges": [{"node": {"name": EVIL, "id": "1"}}]}}],
    ids=["null", "empty", "no teams", "names"],
)
def test_the_doctor_survives_any_viewer(server: WandbServer, viewer: dict | None):
    server.query = lambda sent: {"viewer": viewer, "serverInfo": {"features": []}}
    code = (
        "from casas_ray.cli import tables\nfrom casas_ray.cli.console import out\n"
        "from casas_ray.config import Tracking\nfrom casas_ray.run import doctor\n"
        "out.print(tables.checks(doctor.checked({'wandb': lambda: doctor._wandb(Tracking())})))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert plain_lines(ended.stdout) == ended.stdout
