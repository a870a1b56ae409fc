"""The reference page of all settings, read off the settings themselves."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from casas_ray.config import SIZES, Setup
from casas_ray.config.base import Settings

_SIGNS = {Ge: "≥ {0.ge:g}", Gt: "> {0.gt:g}", Le: "≤ {0.le:g}", Lt: "< {0.lt:g}"}

HEADING = """# Settings

Written by `casas-ray settings --markdown > docs/settings.md`; do not edit. Any of them can stand
at the end of a command as `path=value`, e.g. `optim.epochs=3`; a value is JSON where it parses as
JSON, and a list can be written with commas. `tracking.*` changes no result, `machine.*` none but
in its last digits (sums over other numbers of workers or threads, or on a GPU, are rounded
otherwise); all others may.
"""

SIZES_HEADING = """## Named sizes

Starting points `milan_tiny`, `milan_small`, `milan_baseline`, `milan_medium`, `milan_large`; in a
study, `SIZES["small"]` of `casas_ray.config`. Parameters are those of the encoder's blocks, without
the vocabulary's vectors and the projections.

| size | width | layers | heads | feed_forward | parameters |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Entry:
    """One setting as the page shows it."""

    path: str
    takes: str
    default: str
    says: str


def entries() -> Iterator[Entry]:
    """Every setting, group by group, in the order of the code.

    A setting's description is the docstring under its field.
    """
    for entry in _entries_of(Setup, ""):
        # A recipe's settings are typed without its name.
        yield replace(entry, path=entry.path.removeprefix("recipe."))


def _entries_of(group: type[Settings], prefix: str) -> Iterator[Entry]:
    for name, field in group.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings):
            yield from _entries_of(inner, f"{prefix}{name}.")
        else:
            says = " ".join((field.description or "").split())
            yield Entry(f"{prefix}{name}", _takes(field), _default(field), says)


def _takes(field: FieldInfo) -> str:
    choices = typing.get_args(field.annotation)
    if typing.get_origin(field.annotation) is typing.Literal:
        return ", ".join(str(choice) for choice in choices)
    if typing.get_origin(field.annotation) is tuple:
        return "names"
    if any(typing.get_origin(choice) is tuple for choice in choices):
        return "int ≥ 1, or two as [1,4]"
    plain = getattr(field.annotation, "__name__", str(field.annotation))
    if isinstance(field.annotation, types.UnionType):
        plain = str(field.annotation).replace(" | None", " or null")
    limits = [_SIGNS[type(mark)].format(mark) for mark in field.metadata if type(mark) in _SIGNS]
    return " ".join([{"bool": "true, false", "str": "text"}.get(plain, plain), *limits])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return value if isinstance(value, str) and value else json.dumps(value)


def markdown() -> str:
    """The whole page, as it is kept in docs/settings.md."""
    lines, group = [HEADING], None
    for entry in entries():
        head = entry.path.rpartition(".")[0] or "recipe"
        if head != group:
            group = head
            lines.append(
                f"\n## {head}\n\n| setting | takes | default | |\n| --- | --- | --- | --- |"
            )
        cells = (f"`{entry.path}`", entry.takes, f"`{entry.default}`", entry.says)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    sizes = [
        f"| {name} | {size['width']} | {size['layers']} | {size['heads']} | "
        f"{size['feed_forward']} | {_parameters(size) / 1e6:.1f} M |"
        for name, size in SIZES.items()
    ]
    return "\n".join([*lines, "\n" + SIZES_HEADING + "\n".join(sizes)]) + "\n"


def _parameters(size: Mapping[str, int]) -> int:
    width, inside = size["width"], size["feed_forward"]
    attention = 4 * width * width + 4 * width
    feed_forward = 2 * width * inside + inside + width
    norms = 4 * width
    return size["layers"] * (attention + feed_forward + norms)
