"""Freed memory stays with the process that trains."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # from malloc.h
_NEVER = (1 << 31) - 1


def keep_freed() -> bool:
    """Whether freed memory is now kept for the next step; only glibc can be told to.

    A step asks for the same tens of MiB again and again. glibc gives such pieces back to the system
    at once, and every page of the next one faults: that was a tenth of a step and more
    (docs/findings.md). The peak is what it was; it is not given back before the process ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _NEVER) and mallopt(_TRIM_THRESHOLD, _NEVER))
