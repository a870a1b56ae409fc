"""Clusters as they are kept, with all that tells the cluster of a new window and nothing else.

clusters/FEATURES-METHOD-K-SPLIT/
  model.safetensors   what was fitted: columns, scales, principal axes, centres
  model.json          how it is to be read, the home's sensors, and how windows are cut
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from casas_ray.config import WindowConfig
from casas_ray.corpus.named_sets import settings_of
from casas_ray.corpus.new_events import KnownHomes
from casas_ray.errors import CasasError, DataError
from casas_ray.evals.cluster_rules import Kind, Reduction, Rule
from casas_ray.evals.features.fitted import Columns, Fitted
from casas_ray.evals.features.learned import fitted_by
from casas_ray.evals.features.named import LEARNED, Features
from casas_ray.evals.features.seen import Coding
from casas_ray.evals.grouping import Grouped
from casas_ray.evals.tuned import UNLABELLED
from casas_ray.files import sha256_of, shown, why
from casas_ray.sealed import damaged, fitted, read_sealed, write_sealed

ARRAYS, MODEL = "model.safetensors", "model.json"
_AGAIN = "`casas-ray cluster` with the same words finds and keeps them again."


class _About(BaseModel):
    """What stands in a `model.json`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    sha256: str
    """Of the arrays' file."""

    features: Features
    weights: str
    kind: Kind
    coding: tuple[list[str], list[str], list[str]]
    spreads: dict[str, float]
    known: dict[str, Any]  # Any: checked as facts of homes are
    windows: dict[str, Any]  # Any: checked as settings are
    drop_types: list[str]
    labels: dict[str, str]


@dataclass(frozen=True)
class FittedClusters:
    """Clusters that were fitted on a set, and can be told of windows of another log."""

    features: Features
    weights: str
    """The hash of the weights that made learned vectors; nothing where they are made by hand."""

    fitted: Fitted
    coding: Coding
    reduction: Reduction
    rule: Rule
    known: KnownHomes
    windows: WindowConfig
    drop_types: tuple[str, ...]
    """Sensor types that windows leave out."""

    labels: Mapping[int, str]
    """By cluster what somebody said of the window in its middle; none that nobody labelled."""

    @classmethod
    def of(cls, found: Grouped) -> "FittedClusters | None":
        """What is kept of clusters that were fitted; None where nobody knows how windows were cut,
        as of alignment JSON."""
        prepared, windows, clusters = found.prepared, found.windows, found.clusters
        if "settings" not in prepared.manifest:
            return None
        config, features = settings_of(prepared), found.grouping.features
        names = clusters.cluster_N[clusters.centre_K].tolist()
        labels = zip(names, windows.labels[clusters.centre_K].tolist(), strict=True)
        return cls(
            features,
            found.run.weights if found.run and features in LEARNED else "",
            fitted_by(found.featurizer, windows, found.fold),
            windows.coding,
            clusters.reduction,
            clusters.rule,
            KnownHomes.of(prepared),
            config.windows,
            config.drop_types,
            {name: label for name, label in labels if label not in UNLABELLED},
        )

    def write(self, folder: Path) -> None:
        """Put it into two files of a folder."""
        arrays: dict[str, np.ndarray[Any, Any]] = {  # Any: of several shapes and types
            **{f"columns.{name}": codes for name, codes in self.fitted.columns._asdict().items()},
            **{f"reduction.{name}": array for name, array in self.reduction.arrays.items()},
            **{f"rule.{name}": array for name, array in self.rule.arrays.items()},
        }
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS
        )
        about = _About(
            sha256=sha256_of(folder / ARRAYS),
            features=self.features,
            weights=self.weights,
            kind=self.rule.kind,
            coding=(list(self.coding.homes), list(self.coding.sensors), list(self.coding.states)),
            spreads=dict(self.fitted.spreads),
            known=self.known.as_dict(),
            windows=self.windows.model_dump(mode="json"),
            drop_types=list(self.drop_types),
            labels={str(name): label for name, label in self.labels.items()},
        )
        write_sealed(folder / MODEL, about.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> "FittedClusters":
        """The clusters that a folder keeps.

        Raises:
            DataError: there are none, or they are damaged.
        """
        path = folder / MODEL
        if not path.is_file() and (folder / "clusters.json").is_file():
            raise DataError(f"{shown(folder)} keeps no rule for other windows.", hint=_AGAIN)
        held = read_sealed(path, hint=_AGAIN)
        # JSON has lists where a tuple stood.
        coding = held.get("coding")
        held |= {"coding": tuple(coding)} if isinstance(coding, list) else {}
        about = fitted(_About, held, path, hint=_AGAIN)
        arrays = _arrays(folder / ARRAYS, about.sha256)
        try:
            return cls(
                about.features,
                about.weights,
                Fitted(Columns(**_with_prefix(arrays, "columns.")), about.spreads),
                Coding(*(tuple(names) for names in about.coding)),
                Reduction(_with_prefix(arrays, "reduction.")),
                Rule(about.kind, _with_prefix(arrays, "rule.")),
                KnownHomes.build(about.known),
                WindowConfig.build(about.windows),
                tuple(about.drop_types),
                {int(name): label for name, label in about.labels.items()},
            )
        except (CasasError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(path, error, hint=_AGAIN) from None


def _arrays(path: Path, sha256: str) -> dict[str, np.ndarray[Any, Any]]:
    try:
        if sha256_of(path) != sha256:
            raise damaged(path, "it is not as it was written", hint=_AGAIN)
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise damaged(path, why(error), hint=_AGAIN) from None


def _with_prefix(
    arrays: Mapping[str, np.ndarray[Any, Any]], prefix: str
) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
