"""Which log of a home is at hand, and how to bring one."""

from pathlib import Path

from casas_ray.config import DataConfig
from casas_ray.corpus.bringing import LINK, refuse_simulated, remembered_hash
from casas_ray.corpus.homes import home_or_error, known_homes, load_home, logged_homes
from casas_ray.corpus.simulate.simulator import simulated_log
from casas_ray.errors import MissingData, did_you_mean
from casas_ray.files import shown
from casas_ray.paths import raw, safe_name

_USUAL_NAMES = (LINK, "data.txt")


def logs_for(config: DataConfig) -> dict[str, Path]:
    """The logs that the settings ask for, by home: simulated ones only when they say so.

    Raises:
        MissingData: one is not at hand.
        RefusedError: one was simulated, and the settings do not say so.
    """
    return {home: _log_for(home, config) for home in config.homes}


def _log_for(home: str, config: DataConfig) -> Path:
    if config.simulated:
        return simulated_log(home_or_error(home), config.simulate)
    log = log_at_hand(home)
    if log is None and remembered_hash(link := raw() / home / LINK):
        # A set that was made of it still is a set of it.
        return link
    if log is None:
        raise _missing(home)
    refuse_simulated(log)
    return log


def log_at_hand(home: str) -> Path | None:
    """The home's log under `data/raw/HOME/`, or None."""
    folder = raw() / safe_name(home, what="home")
    facts = load_home(home)
    names = [*_USUAL_NAMES, facts.log_in_archive] if facts else _USUAL_NAMES
    return next((folder / name for name in names if name and (folder / name).is_file()), None)


def place_before(home: str) -> Path | None:
    """Where a home's log was that moved from there; else None."""
    link = raw() / safe_name(home, what="home") / LINK
    return link.readlink() if link.is_symlink() and not link.exists() else None


def _missing(home: str) -> MissingData:
    facts, folder = load_home(home), raw() / home
    if place := place_before(home):
        return MissingData(
            f"the log of home '{home}' was {shown(place)}, and nothing lies there now.",
            hint=f"put it back, or `casas-ray prepare {home} --log PATH` with its new place.",
        )
    if facts is None:
        return MissingData(
            f"no log of home '{home}' is at hand.",
            hint=f"{did_you_mean(home, {*known_homes(), *logged_homes()})} "
            f"`casas-ray prepare {home} --log PATH` brings a new one.",
        )
    return MissingData(
        f"no log of home '{home}' is at hand: there is none in {shown(folder)}.",
        hint=f"`casas-ray fetch {home}`, or download {facts.archive} and unpack it there (the log "
        f"is {facts.log_in_archive}); or try a simulated home with --simulated.",
    )
