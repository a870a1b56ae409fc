"""What the machine is doing while a run trains: memory, and a GPU's use where its driver tells."""

import os
from pathlib import Path

import torch

_MIB = 2.0**20
_STATM = Path("/proc/self/statm")


def system_metrics() -> dict[str, float]:
    """Memory in MiB and a GPU's use in percent, under `system/`; without a GPU its memory is 0."""
    metrics = {
        "system/host_memory": _resident_mib(),
        "system/gpu_memory_allocated": 0.0,
        "system/gpu_memory_cached": 0.0,
    }
    # Not initialised: the run trains on a CPU, and asking would put a context onto the GPU.
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        metrics["system/gpu_memory_allocated"] = torch.cuda.memory_allocated() / _MIB
        metrics["system/gpu_memory_cached"] = torch.cuda.memory_reserved() / _MIB
        metrics |= _utilisation()
    return metrics


def _resident_mib() -> float:
    """The memory of this process that lies in RAM, in MiB; 0 where the system does not tell."""
    if not _STATM.exists():
        return 0.0
    pages = int(_STATM.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def _utilisation() -> dict[str, float]:
    try:
        return {"system/gpu_utilization": float(torch.cuda.utilization())}
    except (ModuleNotFoundError, RuntimeError):  # no NVML beside this torch
        return {}
