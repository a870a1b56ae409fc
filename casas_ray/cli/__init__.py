"""Every command; the only room that prints, exits or catches CasasError.

Heavy imports stand inside the commands, so that --help and plan answer at once.
"""

import os
import signal

__all__ = ["main"]


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    # Even the light imports take a second on a busy machine; who stops them wants no traceback.
    ended = signal.getsignal(signal.SIGINT)
    if ended is signal.default_int_handler:
        signal.signal(signal.SIGINT, _ended_at_once)
    from casas_ray.cli import entry

    signal.signal(signal.SIGINT, ended)
    entry.main()


def _ended_at_once(number: int, frame: object) -> None:
    os.write(2, b"casas-ray: interrupted; nothing had begun.\n")
    os._exit(130)
