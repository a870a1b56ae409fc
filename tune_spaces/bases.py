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


def context() -> Recipe:
    """For activities and clusters: a small causal encoder that reads the 80 events before a window
    too, and is asked what is counted there; a minute on one core (docs/findings.md)."""
    return milan_baseline().replace(
        {
            "name": "context",
            "data.context.side": "past",
            "data.context.windows": 8,
            "model.width": 64,
            "model.layers": 2,
            "model.heads": 4,
            "model.feed_forward": 128,
            "model.embedding": 64,
            "model.dropout": 0.0,
            "model.pooling": "mean",
            "model.time_harmonics": 4,
            "model.state_token": True,
            "loss.clip_weight": 1.0,
            "loss.aggregates_weight": 1.0,
            "loss.neighbours_weight": 1.0,
            "masking.share": 0.1,
            "optim.batch_size": 128,
            "optim.epochs": 15,
            "optim.learning_rate": 2e-3,
            "optim.select_by": "val/total_loss",
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
