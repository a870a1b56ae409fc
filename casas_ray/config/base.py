"""What every group of settings can do: check itself, change by path, tell what differs."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from casas_ray.errors import SettingsError, did_you_mean

_CAME_LATER: Mapping[str, object] = {
    "max_steps": None,
    "max_gap_minutes": 0.0,
    "clean": {"debounce_seconds": 0.0},
    "context": {"side": "none", "events": 80, "windows": 1},
    "time_harmonics": 0,
    "state_token": False,
    "aggregates_weight": 0.0,
    "neighbours_weight": 0.0,
}
"""Settings that runs of earlier versions were made without, and what they are then."""

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

# No machine holds or lives through more; beyond 64 bits torch, numpy and Ray end in tracebacks.
Seed = Annotated[int, Field(ge=0, le=10**18)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrNone = Annotated[int, Field(ge=0, le=10**9)]
Size = Annotated[int, Field(ge=1, le=2**20)]
"""Of a layer, or a number of layers."""


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Names = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]


class Settings(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    # Field docstrings become descriptions: docs/settings.md is made of them. NaN is refused, for it
    # equals nothing and JSON cannot hold it.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    def replace(self, changes: Mapping[str, object]) -> Self:
        """A copy with `{"path.to.setting": value}` changed, checked as a whole.

        Raises:
            SettingsError: a path or a value does not fit.
        """
        tree = self.model_dump()
        for path, value in changes.items():
            _plant(tree, type(self), path, value)
        return self.build(tree)

    @classmethod
    def build(cls, tree: Mapping[str, object]) -> Self:
        """These settings from a plain dictionary.

        Raises:
            SettingsError: a name is unknown or a value has the wrong type.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise _readable(error, cls) from None

    def digest(self) -> str:
        """Twelve hexadecimal digits that change when any value changes."""
        # Out in the world as names of run folders. Defaults are in it: any new setting gives every
        # recipe another digest, but for those of `_CAME_LATER` while they say nothing.
        return hashlib.sha256(json.dumps(self.told(), sort_keys=True).encode()).hexdigest()[:12]

    def told(self) -> dict[str, Any]:  # Any: a value or a further tree
        """The settings as plain values, without those that came later and say nothing."""
        return _told(self.model_dump(mode="json"))


def parse_overrides(words: Iterable[str]) -> dict[str, object]:
    """`["optim.epochs=3"]` as `{"optim.epochs": 3}`; values are JSON where they parse as JSON.

    Raises:
        SettingsError: a word is not `path=value`.
    """
    return dict(_override(word) for word in words)


def _override(word: str) -> tuple[str, object]:
    path, equals, text = word.partition("=")
    if not equals or not path:
        raise SettingsError(
            f"'{word}' is not a setting.", hint="write path=value, for example optim.epochs=3"
        )
    try:
        return path.strip(), json.loads(text)
    except (ValueError, RecursionError):
        return path.strip(), text


def split_overrides(
    changes: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    """Changes to the recipe, to the machine and to the tracking, by the first word of each path."""
    # `name=x` is the recipe's; only what stands below `machine.` or `tracking.` is theirs.
    groups: dict[str, dict[str, object]] = {"recipe": {}, "machine": {}, "tracking": {}}
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        if rest and head in ("machine", "tracking"):
            groups[head][rest] = value
        else:
            groups["recipe"][path] = value
    return groups["recipe"], groups["machine"], groups["tracking"]


def differences(base: Settings, other: Settings) -> dict[str, object]:
    """`{"path": other's value}` for every setting in which the two differ."""
    before, after = flat(base), flat(other)
    return {path: value for path, value in after.items() if before.get(path) != value}


def flat(settings: Settings) -> dict[str, object]:
    """Every setting by its path: `{"optim.epochs": 5, ...}`."""
    return dict(_leaves(settings.model_dump(mode="json"), ""))


def _leaves(tree: Mapping[str, object], prefix: str) -> Iterable[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _told(tree: Mapping[str, Any]) -> dict[str, Any]:  # Any: a value or a further tree
    return {
        name: _told(value) if isinstance(value, dict) else value
        for name, value in tree.items()
        if not (name in _CAME_LATER and value == _CAME_LATER[name])
    }


def _plant(
    tree: dict[str, Any],  # Any: a value or a further tree
    kind: type[Settings],
    path: str,
    value: object,
) -> None:
    *groups, leaf = path.split(".")
    for group in groups:
        _refuse_unknown(group, tree, kind, path)
        if not isinstance(tree[group], dict):
            raise SettingsError(f"'{path}': '{group}' is one setting, not a group of settings.")
        tree = tree[group]
    _refuse_unknown(leaf, tree, kind, path)
    # A whole group at once would take its unnamed settings back to their defaults, silently.
    if isinstance(tree[leaf], dict):
        raise SettingsError(
            f"'{path}' is a group of settings.", hint=f"name one in it: {', '.join(tree[leaf])}"
        )
    tree[leaf] = value


def _refuse_unknown(name: str, tree: Mapping[str, object], kind: type[Settings], path: str) -> None:
    if name not in tree:
        everywhere = flat(kind())
        hint = did_you_mean(path, everywhere) if "." in path else did_you_mean(name, tree)
        raise SettingsError(f"unknown setting '{path}'.", hint=hint)


def _readable(error: ValidationError, kind: type[Settings]) -> SettingsError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or kind.__name__
    if first["type"] == "extra_forbidden":
        return SettingsError(f"unknown setting '{where}'.", hint=did_you_mean(where, flat(kind())))
    wanted = first["msg"].removeprefix("Value error, ")
    return SettingsError(f"{where}: {wanted}; found {_short(first.get('input'))}.")


def _short(value: object) -> str:
    text = "these settings" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
