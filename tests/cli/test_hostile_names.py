"""Names that would be commands to a terminal or to rich, through every command that shows names."""

import ast
import json
import unicodedata
from pathlib import Path

import pytest
from support.recipes import SMALL, WORDS_WITHOUT_DATA
from support.said import told

import casas_ray.cli
from casas_ray.cli import tables
from casas_ray.cli.console import err, pass_on
from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import Screen
from casas_ray.run.doctor import Check

EVIL = [
    "[/bold]x",
    "[/nope]",
    "[link=http://evil]y[/link]",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.sj",
    "\x9b2Jc1",
    ":skull:",
]
QUESTION = "".join(EVIL) + "\n\r?"
SENSORS = ["[/nope]M1", "\x1b[2JM2", "M\u202e3", "M\x9b4"]
HARMLESS_BREAKS = "\n"


def assert_shown_literally(*texts: str) -> None:
    for text in texts:
        bad = {
            char
            for char in text
            if char not in HARMLESS_BREAKS
            and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        }
        assert not bad, (bad, text)


@pytest.fixture(scope="session")
def evil_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six days of a home whose activities and sensors have names from hell."""
    lines = []
    for day in range(1, 7):
        for number in range(140):
            stamp = f"2026-01-{day:02d} {8 + number // 60:02d}:{number % 60:02d}:00.000000"
            sensor, value = SENSORS[number % 4], "ON" if number % 2 else "OFF"
            mark = {0: " begin", 19: " end"}.get(number % 20, "")
            label = EVIL[number // 20 % len(EVIL)].replace(" ", "_")
            lines.append(f"{stamp} {sensor} {value}" + (f" {label}{mark}" if mark else ""))
        lines.append(f"2026-01-{day:02d} 11:00:00 =cmd|'/c'!A1\x1b[31m nonsense")
    path = tmp_path_factory.mktemp("evil") / "data.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def evil_study(tmp_path_factory: pytest.TempPathFactory, text_model: str) -> Path:
    path = tmp_path_factory.mktemp("evil_study") / "evil.py"
    changes = {name: value for name, value in SMALL.items() if "simulate" not in name}
    changes |= {"text.model": text_model, "data.homes": "evil", "optim.epochs": 1}
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({changes!r})\n"
        f"STUDY = Study(question={QUESTION!r}, base=BASE, seeds=(0,),\n"
        "    arms=each('masking.share', [0.2]))\n"
    )
    return path


def shown(found: tuple[int, str, str], code: int = 0) -> str:
    assert found[0] == code, found[2]
    assert_shown_literally(found[1], found[2])
    return found[1]


def test_hostile_names_are_shown_as_they_are_by_every_command(
    run, evil_log: Path, evil_study: Path, text_model: str, tmp_path: Path
):
    out = shown(run("prepare", "evil", "--log", evil_log))
    for name in ("[/bold]x", "[link=http://evil]y[/link]", "\\x1b[31mred", "\\u202egnp.sj"):
        assert name in "".join(out.split("│\n│")).replace("\n", ""), name
    assert ":skull:" in out
    prepared = json.loads(shown(run("prepare", "evil", "--json")))
    assert any("\x1b[31mred" in name for name in prepared["labels"]["train"])
    quarantine = (Path(prepared["folder"]) / "quarantine.tsv").read_text()
    assert "\t'2026-01-01 11:00:00 =cmd" in quarantine
    assert_shown_literally(quarantine.replace("\t", ""))
    shown(run("describe", prepared["folder"], "--window", "1"))
    shown(run("homes"))
    assert "[/bold]x" in shown(run("plan", evil_study))
    out = shown(run("tune", evil_study, "--machine", "debug", "--no-wandb"))
    assert "[/nope]" in out
    again = run("tune", evil_study, "--machine", "debug", "--no-wandb", "--json")
    table = json.loads(shown(again))
    assert table["question"] == QUESTION
    shown(run("table", table["folder"]))
    notes = json.dumps(EVIL[3])
    words = [*WORDS_WITHOUT_DATA, "data.homes=evil", f"text.model={text_model}", "optim.epochs=1"]
    words += [f"tracking.notes={notes}", "--output-dir", tmp_path / "[bold]\x1b[31mrun"]
    shown(run("train", "milan_tiny", *words, "--machine", "debug", "--no-wandb"))
    (folder,) = tmp_path.iterdir()
    shown(run("probe", folder))
    shown(run("evaluate", folder))
    json.loads(shown(run("evaluate", folder, "--json")))
    assert "\\x1b[31mred" in shown(run("audit", folder)).replace("\n", "")
    json.loads(shown(run("audit", folder, "--json")))


@pytest.mark.parametrize("name", EVIL)
def test_hostile_names_in_errors_are_one_line(run, tmp_path: Path, name: str):
    path = tmp_path / f"{name.replace('/', '_')}\nsecond"
    commands = [
        ["table", path],
        ["evaluate", path],
        ["describe", path],
        ["plan", name],
        ["prepare", name],
        ["train", name],
        ["train", f"{name}.x=1"],
        ["train", f"optim.epochs={name}"],
        ["prepare", "here", "--log", path],
        ["prepare", "--from", path],
        ["config", f"{path}.json"],
    ]
    for words in commands:
        code, out, said = run(*words)
        assert code in (2, 3, 8), words
        assert len(told(said)) <= 2
        assert_shown_literally(out, said)


def test_what_the_doctor_found_and_a_job_said_are_shown_as_they_are(capsys):
    check = Check(*EVIL[:1], "odd", "".join(EVIL), EVIL[2])
    screen = Screen(width=200)
    screen.print(tables.checks([check]))
    pass_on("\x1b[31mone\r\n" + "".join(EVIL))
    out = capsys.readouterr().out
    assert_shown_literally(out)
    assert "[/bold]x" in out
    assert ":skull:" in out


def test_a_table_shows_title_heads_cells_and_caption_as_they_are(capsys):
    table = Table(title="[/t]\n", caption="[/c]\x1b")
    table.add_column("[/h]")
    table.add_row("[/r]\t")
    table.title = "[/again]"
    Screen(width=100).print(table, "[/s]")
    out = capsys.readouterr().out
    assert_shown_literally(out)
    for text in ("[/again]", "[/c]\\x1b", "[/h]", "[/r]\\t", "[/s]"):
        assert text in out


def test_only_the_screen_speaks_to_the_terminal():
    """New code cannot print by another way: rich's own classes, print and echo stand in no other
    file of the room."""
    room = Path(casas_ray.cli.__file__).parent
    for path in room.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("rich.console", "rich.table"):
                assert path.name in ("screen.py", "fitting.py", "live_bar.py")
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("typer.echo", "typer.secho", "click.echo", "rich.print")
                if name == "TextColumn":
                    assert isinstance(node.args[0], ast.Constant)
    assert isinstance(err, Screen)
