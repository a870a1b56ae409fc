"""How much a way of dealing days flatters: the same vectors under each of them."""

from collections.abc import Mapping, Sequence
from typing import get_args

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals.evaluation import Contender, Evaluation, Json, Watch
from casas_ray.evals.features.hand import COUNTS, MIX, PAST, RICH
from casas_ray.evals.judge import evaluate_set, unwatched
from casas_ray.evals.protocols import Protocol

HONEST: Protocol = "rolling"
"""What others are compared with: every day is judged once, by a fit on other blocks of days."""

COMPARED = (Contender(COUNTS), Contender(RICH), Contender(MIX), Contender(PAST))

ByProtocol = Mapping[Protocol, Evaluation]


def leakage(
    prepared: PreparedSet,
    *,
    split: str,
    contenders: Sequence[Contender] = COMPARED,
    watch: Watch = unwatched,
) -> ByProtocol:
    """The evaluation of a home's vectors by every protocol.

    Raises:
        DataError: the set has no such windows, no labels, or too few days.
        SetupError: scikit-learn is not installed.
    """
    found: dict[Protocol, Evaluation] = {}
    for protocol in get_args(Protocol):
        found[protocol] = evaluate_set(
            prepared,
            split=split,
            protocol=protocol,
            contenders=contenders,
            watch=lambda stage, protocol=protocol: watch(f"{protocol}, {stage}"),
        )
    return found


def gains(found: ByProtocol) -> dict[str, dict[str, float]]:
    """By protocol and vectors, how much macro F1 lies above that of blocks of days."""
    honest = {row.name: row.scores()["macro_f1"] for row in found[HONEST].rows}
    return {
        protocol: {row.name: row.scores()["macro_f1"] - honest[row.name] for row in each.rows}
        for protocol, each in found.items()
    }


def as_dict(found: ByProtocol) -> Json:
    """All of it as JSON can hold it."""
    each = {protocol: evaluation.as_dict() for protocol, evaluation in found.items()}
    return {"protocols": each, "above_rolling": gains(found)}
