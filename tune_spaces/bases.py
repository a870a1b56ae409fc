"""Named starting points: whole recipes that studies and `casas-ray train` grow from."""

from casas_ray.config import SIZES, Recipe


def milan_baseline() -> Recipe:
    """The published baseline for Milan: 512 wide, four layers, 20-event windows.

    Every value of it is the default of its setting; see `casas-ray plan milan_baseline`.
    """
    return Recipe(name="milan_baseline")


def recommended() -> Recipe:
    """What `casas-ray train` takes when no starting point is named: a tiny encoder, chosen on
    validation days of a real home by `tune_spaces/default_recipe.py` (docs/findings.md)."""
    return _of_size("tiny").replace(
        {
            "name": "recommended",
            "optim.epochs": 12,
            "optim.learning_rate": 1e-3,
            "model.dropout": 0.1,
        }
    )


def _of_size(size: str) -> Recipe:
    """The baseline with an encoder of another named size."""
    changes = {f"model.{name}": value for name, value in SIZES[size].items()}
    return milan_baseline().replace({"name": f"milan_{size}", **changes})


def milan_tiny() -> Recipe:
    """192 wide, two layers: minutes on a laptop."""
    return _of_size("tiny")


def milan_small() -> Recipe:
    """256 wide, four layers."""
    return _of_size("small")


def milan_medium() -> Recipe:
    """512 wide, six layers."""
    return _of_size("medium")


def milan_large() -> Recipe:
    """768 wide, six layers: wants a GPU."""
    return _of_size("large")


def multi_dataset() -> Recipe:
    """The baseline on several homes at once: one vocabulary, sensors told apart by home."""
    return milan_baseline().replace({"name": "multi_dataset", "data.homes": ("milan", "aruba")})
