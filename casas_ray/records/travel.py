"""Which files of a checkout may leave this machine: those that git tracks, that lie in it, and that
are no keys."""

import fnmatch
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Of a name in lower case. A public key may leave, and so may an example of what to fill in.
_KEYS = (
    ".env",
    ".env.*",
    ".envrc",
    ".netrc",
    "_netrc",
    "netrc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.ppk",
    "*.kdbx",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".git-credentials",
    ".pgpass",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".dockercfg",
    "kubeconfig",
    "auth_token",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "credentials.ini",
    "credentials.cfg",
    "credentials.y*ml",
    "credentials.csv",
    "credentials.txt",
    "secrets",
    "secrets.json",
    "secrets.toml",
    "secrets.ini",
    "secrets.y*ml",
    "service-account*.json",
)
_NO_KEYS = ("*.pub", "*.example", "*.sample", "*.template")
_KEYS_IN = (".ssh", ".aws", ".kube", ".gnupg", ".docker")
"""Folders whose files are keys, whatever they are called."""

# A checkout may come from anybody, and its configuration names programs for git to run.
_TAME = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
_GIT_SECONDS = 20.0


@dataclass(frozen=True)
class Travellers:
    """The files that git tracks in a folder, by whether they may leave."""

    free: tuple[str, ...]
    keys: tuple[str, ...]
    """Those that look like keys or passwords."""

    links_out: tuple[str, ...]
    """Those that lead to a file which git does not track here."""


def travellers(folder: Path) -> Travellers | None:
    """The files that git tracks in the folder and that are there; None outside a repository."""
    listed = git("ls-files", "-z", "--cached", folder=folder)
    if listed is None:
        return None
    # One that was deleted and not committed is listed all the same.
    names = [name for name in listed.split("\0") if name and (folder / name).is_file()]
    keys = [name for name in names if _is_key(folder, name)]
    links = _links_out(folder, names)
    stay = {*keys, *links}
    return Travellers(tuple(name for name in names if name not in stay), tuple(keys), tuple(links))


def git(*words: str, folder: Path | None = None) -> str | None:
    """What git prints; None where it fails or is not installed."""
    try:
        ended = subprocess.run(
            ["git", *_TAME, *words],
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=_GIT_SECONDS,
            # A look at a checkout writes nothing into it.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(ended.stdout) if ended.returncode == 0 else None


def not_keys(prefix: str) -> list[str]:
    """Git's pathspecs that leave out what looks like a key; `prefix` is git's magic for it."""
    return [f":({prefix},icase)**/{pattern}" for pattern in _KEYS]


def _is_key(folder: Path, name: str) -> bool:
    path = PurePosixPath(name.lower())
    if set(path.parts[:-1]) & set(_KEYS_IN):
        return True
    if _matches(path.name, _NO_KEYS):
        return False
    return _matches(path.name, _KEYS) or _holds_private_key(folder / name)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _holds_private_key(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(100)
    except OSError:
        return False
    return head.lstrip().startswith(b"-----BEGIN ") and b"PRIVATE KEY" in head


def _links_out(folder: Path, names: Iterable[str]) -> list[str]:
    root = folder.resolve()
    tracked = {root / name for name in names}
    # Also through a folder that became a link: git lists what is in it all the same.
    return [name for name in names if (root / name).resolve() not in tracked]
