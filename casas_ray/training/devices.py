"""What a training asks of the device it runs on."""

import os
import shutil
import sys

import torch

from casas_ray.config import ModelConfig, OptimConfig
from casas_ray.errors import SettingsError, SetupError


def require_device(config: OptimConfig, device: torch.device) -> None:
    """Refuse a device that cannot do what is asked of it.

    Raises:
        SettingsError: it has no bfloat16, or no CUDA graphs.
        SetupError: a compiler is wanted and there is none.
    """
    uses_bf16(config, device)
    if config.compile == "cuda_graphs" and device.type != "cuda":
        raise SettingsError(
            f"optim.compile=cuda_graphs: this {device.type} has no CUDA graphs.",
            hint="take a --machine with a GPU, or optim.compile=off.",
        )
    if config.compile != "off":
        _require_compiler(config.compile)


def uses_bf16(config: OptimConfig, device: torch.device) -> bool:
    """Whether products are computed in bfloat16 on this device.

    Raises:
        SettingsError: bf16 is asked for and the device has none.
    """
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if config.precision == "bf16" and not has_it:
        raise SettingsError(
            f"optim.precision=bf16: this {device.type} does not compute in bfloat16.",
            hint="leave it at fp32, or take auto or a --machine with a GPU.",
        )
    return config.precision != "fp32" and has_it


def choose_attention(config: ModelConfig) -> None:
    """On short windows cuDNN's attention takes twice the time of torch's own, unless heads are
    wider than 64 (docs/findings.md)."""
    torch.backends.cuda.enable_cudnn_sdp(config.width // config.heads > 64)


def _require_compiler(how: str) -> None:
    # What torch calls unless CXX names another; without it, it fails deep inside the first step.
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise SetupError(
            f"optim.compile={how}: a C++ compiler is wanted, and '{compiler}' is not here.",
            hint="install one (Debian: apt install g++), name yours in CXX, or take "
            "optim.compile=off.",
        )
