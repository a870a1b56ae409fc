"""Named starting points: whole recipes that studies and `casas-ray train` grow from."""

from casas_ray.config import Recipe


def milan_baseline() -> Recipe:
    """The published baseline for Milan: 512 wide, four layers, 20-event windows.

    Every value of it is the default of its setting; see `casas-ray plan milan_baseline`.
    """
    return Recipe(name="milan_baseline")


def milan_tiny() -> Recipe:
    """The baseline with a small encoder (192 wide, two layers): minutes on a laptop."""
    return milan_baseline().replace(
        {
            "name": "milan_tiny",
            "model.width": 192,
            "model.layers": 2,
            "model.heads": 3,
            "model.feed_forward": 768,
        }
    )
