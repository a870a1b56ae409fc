"""A command as it is typed to a cluster: the machine that was named here becomes words of it."""

import inspect
from collections.abc import Sequence

from casas_ray.catalog import find_machine
from casas_ray.cli.app import app
from casas_ray.config import Machine
from casas_ray.config.base import parse_overrides, split_overrides
from casas_ray.errors import SettingsError, did_you_mean
from casas_ray.run.cluster.words import machine_words


def for_machine(on: Machine, words: Sequence[str]) -> tuple[Machine, list[str]]:
    """The machine as the command will have it, and the command with the words that say so.

    Raises:
        SettingsError: no command is given or there is none of its name, or a setting of the machine
            is none.
    """
    words = list(words[1:] if words[:1] == ["casas-ray"] else words)
    if not words:
        raise SettingsError(
            "no command is given.",
            hint="casas-ray submit --machine local-head -- tune milan_ablation_mlm --quick",
        )
    parameters = _parameters(words[0])
    if not {"machine", "changes"} <= parameters:
        return on, words
    if named := _option(words, "--machine"):
        # What was typed for the command counts there; the cluster is still the one named here.
        typed = find_machine(named)
        on = typed.replace({"dashboard": on.dashboard})
    settings = [word for word in words[1:] if word.startswith("machine.") and "=" in word]
    changed = on.replace(split_overrides(parse_overrides(settings))[1])
    if named:
        return changed, words
    given = [word.partition("=")[0].removeprefix("machine.") for word in settings]
    return changed, [*words, *machine_words(on, without=given)]


def _parameters(name: str) -> set[str]:
    """The names of what a command takes.

    Raises:
        SettingsError: there is no such command.
    """
    known = {
        each.name or each.callback.__name__: each.callback
        for each in app.registered_commands
        if each.callback
    }
    if name not in known:
        raise SettingsError(f"casas-ray has no command '{name}'.", hint=did_you_mean(name, known))
    return set(inspect.signature(known[name]).parameters)


def _option(words: Sequence[str], name: str) -> str:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""
