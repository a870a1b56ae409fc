"""What a user finds without a page: the version, the help of every command, and --debug."""

import re
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from casas_ray import __version__
from casas_ray.cli.app import app
from casas_ray.cli.settings_page import entries

GROUP = typer.main.get_command(app)
COMMANDS = sorted(name for name, held in GROUP.commands.items() if not held.hidden)


def test_the_version_names_what_results_depend_on(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith(f"casas-ray {__version__} (Python {sys.version.split()[0]}, ")
    assert f"torch {version('torch')}" in out


def test_the_overview_has_a_whole_line_a_command_and_the_options_of_all(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "--debug" in out
    assert "--version" in out
    assert "--install-completion" in out
    for name in COMMANDS:
        (line,) = re.findall(rf"^  {name}  .*$", out, flags=re.MULTILINE)
        assert line.endswith("."), line
        assert not line.endswith("..."), line


def test_without_a_command_the_overview_is_shown_and_nothing_was_done(run):
    code, out, _ = run()
    assert code == 2
    assert "Commands:" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_page_describes_everything_and_names_related_commands(run, name: str):
    code, out, _ = run(name, "--help")
    text = " ".join(out.split())
    assert code == 0
    assert f"Example: casas-ray {name}" in text
    assert "--debug" in text
    related = text.partition("Related: ")[2].partition(". Also")[0]
    others = [each.removeprefix("casas-ray ") for each in related.split(", ")]
    assert others
    assert set(others) <= set(COMMANDS) - {name}
    for parameter in GROUP.commands[name].params:
        assert parameter.help, (name, parameter.name)


def test_no_setting_is_without_a_description():
    assert [entry.path for entry in entries() if not entry.says] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plan", "nowhere"], 2),
        (["table", "nowhere"], 3),
        (["prepare", "../x"], 8),
        (["train", "--epochs", "3"], 2),
    ],
)
def test_debug_shows_the_traceback_and_keeps_the_exit_code(words: list[str], code: int):
    for where in (0, len(words)):
        typed = [*words[:where], "--debug", *words[where:]]
        ended = subprocess.run(
            [sys.executable, "-m", "casas_ray", *typed], capture_output=True, text=True, check=False
        )
        assert ended.returncode == code
        assert "Traceback" in ended.stderr
        assert ended.stderr.splitlines()[-2].startswith("casas-ray: ")
