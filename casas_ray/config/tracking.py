"""What W&B and TensorBoard are told of a run."""

from typing import Literal, Self

from pydantic import model_validator

from casas_ray.config.base import Count, CountOrNone, Names, Settings


class AlertsConfig(Settings):
    """When somebody is told that a training wants a look, and where."""

    to: Names = ()
    """`terminal`, `file` (alerts.jsonl beside the runs), `webhook` (posted as JSON to the address
    in CASAS_RAY_WEBHOOK); empty is nowhere. Losses that are no numbers, failures and the end are
    told of always."""

    stall_seconds: CountOrNone = 600
    """No row for so long is a stall; 0 never is. To be longer than a look at validation days."""

    plateau_looks: CountOrNone = 0
    """So many looks in a row without a better one are a plateau; 0 never are."""

    @model_validator(mode="after")
    def _known_places(self) -> Self:
        unknown = sorted(set(self.to) - {"terminal", "file", "webhook"})
        if unknown:
            raise ValueError(f"to knows terminal, file and webhook, not {', '.join(unknown)}")
        return self


class Tracking(Settings):
    """What W&B is told, and how often. W&B is a view of the ledger."""

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto` is online where a W&B key is at hand and offline elsewhere."""

    project: str = "discover-v2"
    """The W&B project."""

    entity: str = ""
    """The W&B team or user; empty is the key's own."""

    name: str = ""
    """The W&B name of one run, or of a study's summary; empty takes its own. Trials of a study keep
    theirs."""

    group: str = ""
    """The W&B group; empty takes the study's name, or of a single run its home and size, such as
    `milan_d512_l4`."""

    tags: Names = ()
    """W&B tags beside those of home, seed, study and arm."""

    notes: str = ""
    """W&B notes: what the run is for."""

    log_every: Count = 50
    """Steps between rows of training metrics."""

    backend: Names = ("wandb",)
    """Views of the ledger: `wandb`, `tensorboard` (event files in the run's folder), or both."""

    log_parameters: bool = True
    """Histograms of the weights."""

    log_gradients: bool = False
    """Histograms of the gradients."""

    watch_every: Count = 100
    """Steps between histograms."""

    log_graph: bool = False
    """The parts of the model and the shapes of their weights, once."""

    log_model: bool = False
    """Send the best model to W&B as a versioned artifact; off, weights stay here."""

    code_snapshot: bool = True
    """Keep with the run the code that git tracks, and its difference from the commit; never data.
    It goes to W&B with the run."""

    alerts: AlertsConfig = AlertsConfig()

    @model_validator(mode="after")
    def _known_backends(self) -> Self:
        unknown = sorted(set(self.backend) - {"wandb", "tensorboard"})
        if unknown:
            raise ValueError(f"backend knows wandb and tensorboard, not {', '.join(unknown)}")
        return self
