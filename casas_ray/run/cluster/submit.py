"""Send a command to a Ray cluster as a job, once the cluster was seen to have what it needs."""

import tempfile
from pathlib import Path

from casas_ray.config import Machine
from casas_ray.run.cluster.answer import Answer
from casas_ray.run.cluster.checks import check
from casas_ray.run.cluster.dashboard import Dashboard, Say
from casas_ray.run.cluster.job import start
from casas_ray.run.cluster.order import Order


def submit(dashboard: Dashboard, order: Order, machine: Machine, say: Say) -> Answer:
    """What the cluster has, once the job that is ordered was started there.

    Raises:
        ClusterError: the cluster does not answer, has other versions, has too little for one
            training on the machine, or takes no job.
        SetupError: its disk, or the machine's storage, cannot be written to.
    """
    with tempfile.TemporaryDirectory(prefix="casas-ray-job-") as folder:
        archive = order.parcel.pack(Path(folder) / "code.zip")
        # In the very copy that the job will have: its casas-ray is asked, not another.
        seen = check(dashboard, machine, archive)
        start(dashboard, order.name, order.entrypoint, archive, say)
    return seen
