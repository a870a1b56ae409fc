"""How W&B is reached: whether, with whose key, and what its library must not tell of us."""

import logging
import os
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import wandb
from wandb.errors import AuthenticationError

from casas_ray.config import Tracking
from casas_ray.errors import SetupError, first_line
from casas_ray.files import is_marked, mark

log = logging.getLogger(__name__)

_INIT_SECONDS = 8.0
_REACH_SECONDS = 5.0
_FINISH_SECONDS = 15.0
"""How long the end of a run waits for what was not sent yet; the ledger has it, and `sync` sends
it later."""

Mode = Literal["online", "offline", "disabled"]
About = Mapping[str, Any]  # Any: what wandb.init takes, by name


REFUSALS = (wandb.Error, TimeoutError, ValueError)
"""What wandb raises over a run that it will not begin; pydantic's errors are ValueErrors."""

_NOWHERE = "http://unusable.invalid"
"""Stands in for a server's address that is none: nobody can ever have this name."""


def mode_of(tracking: Tracking) -> Mode:
    """`online` where a key is at hand and the server takes connections, or as the settings say."""
    mode = _usual_mode() if tracking.mode == "auto" else tracking.mode
    if mode == "online" and not reaches(server()):
        if server() != _NOWHERE:  # of which was warned when it was put there
            log.warning("W&B does not answer; runs are kept offline in their folders.")
        return "offline"
    return mode


def _usual_mode() -> Mode:
    asked = os.environ.get("WANDB_MODE")
    if asked in ("online", "disabled"):
        return "online" if asked == "online" else "disabled"
    # Any other word, as dryrun, means offline: a word that we do not know sends nothing.
    return "online" if asked is None and has_key() else "offline"


def reaches(url: str) -> bool:
    """Whether the W&B server takes connections, within a few seconds."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_REACH_SECONDS).close()
    except OSError:
        return False
    return True


def server() -> str:
    """The address of the W&B server that this machine is set to."""
    _hush()
    return str(wandb.setup().settings.base_url)


def has_key() -> bool:
    """Whether a W&B key is at hand: in the environment, in netrc, or from `wandb login`."""
    _hush()
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except AuthenticationError as error:  # which tells the key's length and nothing more of it
        log.warning("%s Runs are kept offline.", str(error).splitlines()[0])
        return False


def teams() -> list[str]:
    """The teams that the owner of the key may log to.

    Raises:
        SetupError: the server does not know the key.
    """
    _hush()
    try:
        viewer = wandb.Api(timeout=int(_REACH_SECONDS)).viewer
    except AuthenticationError:
        raise SetupError(
            "the server does not know this key",
            hint="wandb login --relogin, with the key from https://wandb.ai/authorize",
        ) from None
    return [str(team) for team in getattr(viewer, "teams", [])]


def key_problem(key: str) -> str:
    """What is wrong with the shape of a W&B key by the library's own rule, or an empty text.

    The key itself is not shown.
    """
    from wandb.sdk.lib.wbauth import validation  # private, so only where it is asked for

    try:
        return str(validation.check_api_key(key) or "")
    except (AuthenticationError, ValueError) as error:
        return str(error)


def _hush() -> None:
    # Before wandb's service starts, which reads them once. Its reports of its own errors hold
    # absolute paths of this machine (docs/findings.md).
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        wandb.setup()
    except REFUSALS:
        _mend_environment()


def _mend_environment() -> None:
    """Take out of this process's environment what wandb refuses to start with, saying so once.

    An address that is none becomes one of nobody's, never the public server's: what was meant for
    another server must not go there.
    """
    instead = {"WANDB_BASE_URL": _NOWHERE, "WANDB_MODE": "offline"}
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        try:
            wandb.Settings().update_from_env_vars({name: os.environ[name]})
        except REFUSALS:
            os.environ.pop(name)  # its value is not shown: it may be a key
            what = "is not heeded"
            if name in instead:
                os.environ[name] = instead[name]
                what = "cannot be used, and runs are kept offline in their folders"
            log.warning("W&B does not take the value of %s, which %s.", name, what)


def begin(
    folder: Path, about: About, mode: Mode, *, wait_seconds: float | None = None
) -> wandb.Run:
    """A W&B run: online it goes on after the rows that W&B has of it (`starting_step`), offline it
    is made anew.

    `wait_seconds` is how long its end may take to send what is left; as a rule 15 s.

    Raises:
        wandb.Error: the server will not have the run, or takes too long to say so.
    """
    _hush()
    if mode == "offline":
        remove_offline(folder, about["id"])
    run = wandb.init(
        **about,
        dir=str(folder),
        mode=mode,
        # Without it a server's rows come twice. Offline not: whoever sends an offline folder by
        # hand is to replace what W&B had, and one that says resume is appended.
        resume="allow" if mode == "online" else None,
        reinit="create_new",  # trials are open side by side
        settings=_settings(wait_seconds),
    )
    if mode == "offline":
        ours = Path(run.settings.sync_dir)
        ours.mkdir(parents=True, exist_ok=True)  # W&B makes it in a thread of its own
        mark(ours)
    return run


def begin_or_keep(
    folder: Path, about: About, mode: Mode, *, wait_seconds: float | None = None
) -> tuple[wandb.Run, Mode]:
    """A W&B run, and the mode that it has in the end: kept offline where the server will not have
    it. No other run may be open.

    Raises:
        wandb.Error: it cannot be begun offline either.
    """
    try:
        return begin(folder, about, mode, wait_seconds=wait_seconds), mode
    except REFUSALS as error:
        if mode != "online":
            raise
        log.warning(
            "W&B will not have the run (%s); runs are kept offline in their folders.",
            first_line(error),
        )
        # Its service holds the id of a run that failed; the next run starts another. It also ends
        # every run that is open, which is why none may be.
        wandb.teardown()
        return begin(folder, about, "offline"), "offline"


def _settings(wait_seconds: float | None) -> wandb.Settings:
    # wandb sends all of this unless each is switched off by itself (docs/findings.md); what a
    # newer one sends besides, tests/tracking/test_wandb_online.py sees arrive.
    return wandb.Settings(
        x_disable_meta=True,  # argv, user names, the machine's hardware
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        host="a machine",
        program="casas-ray",  # otherwise the path of the script
        disable_git=True,
        save_code=False,
        console="off",
        silent=True,
        init_timeout=_INIT_SECONDS,
        # Left out, finish() waits for ever on a host that died.
        finish_timeout=wait_seconds or _FINISH_SECONDS,
        finish_timeout_raises=True,
    )


def offline_folders(folder: Path, identity: str) -> list[Path]:
    """The offline runs of an id that lie in a folder."""
    return sorted((folder / "wandb").glob(f"offline-run-*-{identity}"))


def remove_offline(folder: Path, identity: str) -> None:
    """Take away the offline runs of an id that we made in a folder."""
    for old in filter(is_marked, offline_folders(folder, identity)):
        shutil.rmtree(old, ignore_errors=True)
        if old.name.startswith(time.strftime("offline-run-%Y%m%d_%H%M%S")):
            time.sleep(1.0)  # W&B names a folder by the second; two runs in one would share it
