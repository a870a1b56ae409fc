"""What Ray reads from the environment, set before Ray is imported; it looks only once."""

import os
from pathlib import Path

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


def prepare_environment() -> None:
    """Make Ray quiet, quick to hear reports, and send its token; what the user set stands.

    To be called before anything imports ray.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # A token that exists is still not sent unless the mode says so (docs/findings.md).
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    if named or (Path.home() / _TOKEN).exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def guard_token() -> None:
    """Let nobody else read the token: Ray 2.60 writes its file world-readable."""
    path = Path.home() / _TOKEN
    if path.exists() and path.stat().st_uid == os.getuid():
        path.chmod(0o600)
