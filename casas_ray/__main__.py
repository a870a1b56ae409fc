"""`python -m casas_ray`, for where the script is not on the PATH."""

from casas_ray.cli import main

main()
