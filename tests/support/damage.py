"""Damage to files: cut short, bits turned, values of another type, one file in another's place."""

import copy
import json
import random
from pathlib import Path
from typing import Any

from casas_ray.sealed import SEAL, sealed

_DEEP: Any = 0
for _ in range(60):
    _DEEP = [_DEEP]

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 12, 1.5, 10**18, 10**400, float("nan"), float("inf"), "", "x", "nan",
    "../../x", "\ud800", "[/bold]", "a\nb", "\x1b[31m", [], [None], ["x"], [[]], {}, {"x": None},
    {"x": {"y": 1}}, _DEEP,
)  # fmt: skip


def damaged(path: Path, others: list[Path], rng: random.Random) -> str:
    """Damage a file in one of many ways; which, in words."""
    kinds = [cut, turned, zeroed, emptied, swapped, doubled]
    if path.suffix in (".json", ".jsonl"):
        kinds += [retyped, retyped, retyped, retyped]
    kind = rng.choice(kinds)
    kind(path, others, rng)
    return f"{path.name} {kind.__name__}"


def cut(path: Path, others: list[Path], rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def turned(path: Path, others: list[Path], rng: random.Random) -> None:
    data = bytearray(path.read_bytes() or b"x")
    for _ in range(rng.choice((1, 1, 2, 8))):
        # Often near an end, where headers and footers are.
        near = rng.choice((len(data), min(len(data), 64)))
        at = rng.choice((rng.randrange(near), len(data) - 1 - rng.randrange(near)))
        data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zeroed(path: Path, others: list[Path], rng: random.Random) -> None:
    data = path.read_bytes()
    at = rng.randrange(len(data) + 1)
    path.write_bytes(data[:at] + bytes(len(data) - at))


def emptied(path: Path, others: list[Path], rng: random.Random) -> None:
    path.write_bytes(b"")


def swapped(path: Path, others: list[Path], rng: random.Random) -> None:
    path.write_bytes(rng.choice(others).read_bytes())


def doubled(path: Path, others: list[Path], rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() * 2)


def retyped(path: Path, others: list[Path], rng: random.Random) -> None:
    lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    at = rng.randrange(len(lines)) if lines else 0
    try:
        tree = json.loads(lines[at]) if lines else {}
    except ValueError:
        return
    seal = tree.pop(SEAL, None) if isinstance(tree, dict) else None
    tree = _planted(tree, rng)
    if isinstance(tree, dict) and seal is not None:
        how = rng.choice(("stale", "none", "new", "new"))
        try:
            tree = {"stale": {**tree, SEAL: seal}, "none": tree, "new": None}[how] or sealed(tree)
        except (ValueError, RecursionError):
            tree = {**tree, SEAL: seal}
    if lines:
        lines[at] = json.dumps(tree).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")


def _planted(tree: Any, rng: random.Random) -> Any:
    """The tree with one of its values, however deep, replaced, removed or added."""
    tree = copy.deepcopy(tree)
    node, parent, key = tree, None, None
    while isinstance(node, (dict, list)) and node and (parent is None or rng.random() < 0.75):
        parent, key = node, rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        node = node[key]
    if parent is None:
        return rng.choice(VALUES)
    change = rng.random()
    if change < 0.15:
        del parent[key]
    elif change < 0.25 and isinstance(parent, dict):
        parent[f"{key}x"] = rng.choice(VALUES)
    else:
        parent[key] = rng.choice(VALUES)
    return tree
