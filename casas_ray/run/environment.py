"""What Ray reads from the environment, set before Ray is imported; it looks only once."""

import os
import secrets
from pathlib import Path

from casas_ray.config import Machine
from casas_ray.errors import SettingsError
from casas_ray.files import private_folder

_DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Started by `uv run`, workers would each build an environment of their own.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Otherwise Ray hides all GPUs from a task that asked for none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the record
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours to answer, with 130
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a late call must never start a Ray of its own
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # reports are a barrier, and are heard this often
}
RAY_THREAD = "ray"
"""The name of the thread that Ray is used from; one that is left when all is done hangs in Ray."""

_TOKEN = Path(".ray") / "auth_token"


def cluster_address(machine: Machine) -> str:
    """The cluster that is named, by the machine or by RAY_ADDRESS as a Ray job has it.

    Empty where none is: then Ray is started here, and ends with the command.

    Raises:
        SettingsError: it is `auto`, which names nobody.
    """
    address = machine.address or os.environ.get("RAY_ADDRESS", "")
    if address == "auto":
        # Ray would join whatever a file in a folder that all may write to names, and send it our
        # token in clear.
        raise SettingsError(
            f"{'machine.address' if machine.address else 'RAY_ADDRESS'} is 'auto', which joins "
            "any Ray that is found here.",
            hint="name the cluster, as 127.0.0.1:6379, or leave it empty to start Ray here.",
        )
    return "" if address == "local" else address


def prepare_environment(machine: Machine | None = None) -> None:
    """Make Ray quiet, quick to hear reports, and send its token; what the user set stands.

    To be called before anything imports ray, with the machine where Ray may be started.

    Raises:
        SettingsError: the machine's cluster is not named but to be searched for.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if machine is not None and not cluster_address(machine) and not _token_is_named():
        _keep_token()
    guard_token()
    # A token that exists is still not sent unless the mode says so (docs/findings.md).
    if _token_is_named() or _token_file().exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def guard_token() -> None:
    """Let nobody else read the token: Ray 2.60 writes its file world-readable."""
    path = _token_file()
    if path.exists() and path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def _token_is_named() -> bool:
    return "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ


def _token_file() -> Path:
    return Path.home() / _TOKEN


def _keep_token() -> None:
    """Write a token for the Ray that will be started here, unless there is one."""
    path = _token_file()
    if path.exists():
        return
    token = secrets.token_hex(32)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        private_folder(path.parent)
        # Of this mode from its first moment, whatever the umask is.
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(token)
        try:
            path.hardlink_to(draft)  # unlike a rename, it takes away no token that came meanwhile
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError:
        # A home that cannot be written to: the processes of this command inherit it instead.
        os.environ["RAY_AUTH_TOKEN"] = token
