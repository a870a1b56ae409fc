"""Which log of a home is at hand, and how to bring one."""

from pathlib import Path

from casas_ray.config import DataConfig
from casas_ray.corpus.homes import home_or_error, known_homes, load_home, logged_homes
from casas_ray.corpus.simulate.simulator import TRUTH_NAME, simulated_log
from casas_ray.errors import DataError, RefusedError, did_you_mean
from casas_ray.files import private_folder, require_plain, shown, whole_file, why
from casas_ray.paths import raw, safe_name

_USUAL_NAMES = ("data", "data.txt")


def logs_for(config: DataConfig) -> dict[str, Path]:
    """The logs that the settings ask for, by home: simulated ones only when they say so.

    Raises:
        DataError: one is not at hand.
        RefusedError: one was simulated, and the settings do not say so.
    """
    return {home: _log_for(home, config) for home in config.homes}


def _log_for(home: str, config: DataConfig) -> Path:
    if config.simulated:
        return simulated_log(home_or_error(home), config.simulate)
    log = log_at_hand(home)
    if log is None:
        raise _missing(home)
    _refuse_simulated(log)
    return log


def _refuse_simulated(log: Path) -> None:
    # A log has no place for a caveat; the truth beside it tells that no home wrote it.
    if log.resolve().with_name(TRUTH_NAME).is_file():
        raise RefusedError(
            f"{shown(log)} is a SIMULATED log; as a home's own, nothing would say so.",
            hint="use it with --simulated and the data.simulate settings that it was made with.",
        )


def log_at_hand(home: str) -> Path | None:
    """The home's log under `data/raw/HOME/`, or None."""
    folder = raw() / safe_name(home, what="home")
    facts = load_home(home)
    names = [*_USUAL_NAMES, facts.log_in_archive] if facts else _USUAL_NAMES
    return next((folder / name for name in names if name and (folder / name).is_file()), None)


def _missing(home: str) -> DataError:
    facts, folder = load_home(home), raw() / home
    if facts is None:
        return DataError(
            f"no log of home '{home}' is at hand.",
            hint=f"{did_you_mean(home, {*known_homes(), *logged_homes()})} "
            f"`casas-ray prepare {home} --log PATH` brings a new one.",
        )
    return DataError(
        f"no log of home '{home}' is at hand: there is none in {shown(folder)}.",
        hint=f"`casas-ray fetch {home}`, or download {facts.archive} and unpack it there (the log "
        f"is {facts.log_in_archive}); or try a simulated home with --simulated.",
    )


def link_log(home: str, log: Path) -> Path:
    """The link under `data/raw/HOME/` that remembers where the user's log of a home lies.

    Raises:
        DataError: there is no such file.
        RefusedError: another log of that home, not a link, lies there already, or it is simulated.
    """
    try:
        require_plain(log)
    except OSError as error:
        raise DataError(
            f"{shown(log)}: {why(error)}.", hint="check the path given with --log"
        ) from None
    _refuse_simulated(log)
    folder = raw() / safe_name(home, what="home")
    target = folder / _USUAL_NAMES[0]
    private_folder(folder)
    if target.exists() and not target.is_symlink() and not target.samefile(log):
        raise RefusedError(
            f"{shown(target)} is another log of '{home}'.", hint="move it away first."
        )
    if not target.exists() or not target.samefile(log):
        # A link cannot be made over another; renamed over it, there is no moment without a log.
        with whole_file(target) as draft:
            draft.symlink_to(log.resolve())
    return target
