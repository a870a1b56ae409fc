"""Places of windows: principal axes always, t-SNE where it is installed."""

from importlib.util import find_spec

import numpy as np
import pytest

from casas_ray.errors import SetupError
from casas_ray.evals.cluster_rules import Reduction, Rule
from casas_ray.evals.clusters import Clusters
from casas_ray.evals.maps.layout import layouts


def apart(rows: int, width: int = 4) -> Clusters:
    """Three far groups of vectors."""
    rng = np.random.default_rng(0)
    group = np.arange(rows) % 3
    vectors = rng.normal(size=(rows, width))
    vectors[:, 0] += 40.0 * group
    reduction = Reduction({"middle": np.zeros(vectors.shape[1]), "axes": np.eye(vectors.shape[1])})
    rule = Rule(
        "centres", {"centres": np.stack([vectors[group == name].mean(0) for name in range(3)])}
    )
    return Clusters("kmeans", 3, group, np.arange(3), vectors, {}, reduction, rule)


def test_principal_axes_lie_on_a_square_and_say_what_they_leave_out():
    (found,) = layouts(apart(300), "pca")
    assert found.name == "principal axes"
    assert found.xy_N2.shape == (300, 2)
    assert found.xy_N2.min() == 0.0
    assert found.xy_N2.max() == 1.0
    assert "100% of what varies" in found.said
    assert layouts(apart(30, width=1), "pca")[0].xy_N2[:, 1].tolist() == [0.0] * 30


@pytest.mark.skipif(find_spec("openTSNE") is not None, reason="openTSNE is installed")
def test_without_the_package_t_sne_is_one_line_and_axes_are_there():
    with pytest.raises(SetupError, match="openTSNE, which is not installed"):
        layouts(apart(30), "tsne")
    assert [each.name for each in layouts(apart(30), None)] == ["principal axes"]


@pytest.mark.skipif(find_spec("openTSNE") is None, reason="openTSNE is not installed")
def test_t_sne_keeps_neighbours_together_also_those_it_did_not_place(monkeypatch):
    monkeypatch.setattr("casas_ray.evals.maps.layout._MOST_BY_TSNE", 150)
    found, axes = layouts(apart(300), None)
    assert [found.name, axes.name] == ["t-SNE", "principal axes"]
    assert "of 150 windows, others among them" in found.said
    middles = np.stack([found.xy_N2[group::3].mean(axis=0) for group in range(3)])
    nearest = np.linalg.norm(found.xy_N2[:, None] - middles[None], axis=2).argmin(axis=1)
    assert (nearest == np.arange(300) % 3).mean() > 0.98
