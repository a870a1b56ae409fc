"""What the machine is doing while a run trains: memory, and a GPU's use where its driver tells."""

import os
from pathlib import Path

import torch

_MIB = 2.0**20
_STATM = Path("/proc/self/statm")


def system_metrics() -> dict[str, float]:
    """MiB and percent under `system/`; on machines without a GPU its memory is 0."""
    found = {
        "system/host_memory": _resident_mib(),
        "system/gpu_memory_allocated": 0.0,
        "system/gpu_memory_cached": 0.0,
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["system/gpu_memory_allocated"] = torch.cuda.memory_allocated() / _MIB
        found["system/gpu_memory_cached"] = torch.cuda.memory_reserved() / _MIB
        found |= _utilisation()
    return found


def _resident_mib() -> float:
    """Memory of this process that lies in RAM; 0 where the system does not tell."""
    if not _STATM.exists():
        return 0.0
    pages = int(_STATM.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def _utilisation() -> dict[str, float]:
    try:
        return {"system/gpu_utilization": float(torch.cuda.utilization())}
    except (ModuleNotFoundError, RuntimeError):  # no NVML beside this torch
        return {}
