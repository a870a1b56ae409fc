"""What is wrong with how a command was typed, as one line and a hint."""

from collections.abc import Sequence
from typing import Any

import typer

from casas_ray.config.spelling import hint_for, known_as
from casas_ray.errors import CasasError, SettingsError, did_you_mean


def usage_error(error: typer.TyperException, words: Sequence[str]) -> CasasError:
    """The error of ours for one of typer's, whose words quote what was typed."""
    context = getattr(error, "ctx", None)
    command = context.info_name if context and context.parent else ""
    page = f"`casas-ray {command} --help`" if command else "`casas-ray --help`"
    if hasattr(error, "possibilities"):  # those of typer's that an option has no such name
        option = str(getattr(error, "option_name", ""))
        hint = _meant_option(option, context, words) or f"{page} lists the options."
        return SettingsError(f"{command or 'casas-ray'} has no option {option}.", hint=hint)
    said = " ".join(error.format_message().split())
    problem, _, meant = said.partition(". Did you mean ")
    hint = f"did you mean {meant}" if meant else f"see {page}."
    of_command = f"{command}: " if command else ""
    return SettingsError(f"{of_command}{problem.rstrip('.')}.", hint=hint)


def _meant_option(option: str, context: Any, words: Sequence[str]) -> str:
    # Any: typer's context, whose class is not public where errors hold it
    params = context.command.params if context else []
    near = did_you_mean(option, [name for param in params for name in param.opts])
    is_near = near.startswith("did")
    name = option.lstrip("-")
    takes_settings = "changes" in {param.name for param in params}
    # A setting's own name before an option that merely looks like it.
    if takes_settings and (known_as(name) or not is_near):
        found = hint_for(name, _value_of(option, words))
        return f"settings are words without dashes: {found}" if found else ""
    return near if is_near else ""


def _value_of(option: str, words: Sequence[str]) -> str:
    """What stands behind an option, or an example of it."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and following and not following.startswith("-"):
            return following
    return "..."
