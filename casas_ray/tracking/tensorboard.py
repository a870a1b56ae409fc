"""TensorBoard event files as a view of the ledger, for those who stay local."""

from collections.abc import Sequence

import numpy as np
from tensorboardX import SummaryWriter

from casas_ray.records.ledger import read_rows
from casas_ray.records.rows import Row
from casas_ray.records.run_record import RunRecord
from casas_ray.tracking.repeats import Repeats

FOLDER = "tensorboard"
CAVEATS = "caveats"
"""The name of the text that says what must be said of a run's numbers."""

_SUFFIX = ".casas-ray"
"""The end of the names of our files."""


class TensorBoardMirror:
    """Writes each row of the followed ledgers once; a run's files are made anew from its ledger
    whenever it is followed."""

    def __init__(self, records: Sequence[RunRecord]) -> None:
        """`records` are those of the indices that are heard of; they may become more."""
        self._records = records
        self._writers: dict[int, SummaryWriter] = {}
        self._repeats: dict[int, Repeats] = {}

    def hear(self, run: int, row: Row) -> None:
        """A new row of a run's ledger."""
        if run not in self._writers:
            folder = self._records[run].folder / FOLDER
            # A writer adds a file beside those that are there, and TensorBoard would draw both.
            # Ours alone go: a user may keep files of another trainer there.
            for old in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
                old.unlink()
            self._writers[run] = SummaryWriter(str(folder), filename_suffix=_SUFFIX)
            self._repeats[run] = Repeats()
            if self._caveats(run):
                self._writers[run].add_text(CAVEATS, self._caveats(run), 0)
        if self._repeats[run].is_repeated(row):
            return
        if row["event"] == "metrics":
            for name, value in row["metrics"].items():
                # The ledger says inf and nan as text, for JSON has neither.
                if not isinstance(value, str):
                    # With the caveats as its description, which stands at each chart.
                    self._writers[run].add_scalar(
                        name, value, row["step"], summary_description=self._caveats(run)
                    )
        elif row["event"] == "histograms":
            self._histograms(run, row["step"], row["histograms"])

    def _caveats(self, run: int) -> str:
        return ", ".join(self._records[run].marks)

    def _histograms(self, run: int, step: int, histograms: Row) -> None:
        for name, histogram in histograms.items():
            low, high, counts = histogram["low"], histogram["high"], np.array(histogram["counts"])
            edges = np.linspace(low, high, len(counts) + 1)
            # Each value counts as the middle of its bucket; the values themselves are gone.
            middles = (edges[1:] + edges[:-1]) / 2
            self._writers[run].add_histogram_raw(
                name,
                min=low,
                max=high,
                num=int(counts.sum()),
                sum=float((counts * middles).sum()),
                sum_squares=float((counts * middles**2).sum()),
                bucket_limits=edges[1:].tolist(),
                bucket_counts=counts.tolist(),
                global_step=step,
            )

    def close(self) -> None:
        """Flush and close every file."""
        for writer in self._writers.values():
            writer.close()


def rebuild(record: RunRecord) -> None:
    """Make a run's event files anew from its ledger."""
    mirror = TensorBoardMirror([record])
    for row in read_rows(record.folder):
        mirror.hear(0, row)
    mirror.close()
