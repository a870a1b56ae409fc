"""Every command; the only room that prints, exits or catches CasasError.

Heavy imports stand inside the commands, so that --help and plan answer at once.
"""

from casas_ray.cli.main import main, run

__all__ = ["main", "run"]
