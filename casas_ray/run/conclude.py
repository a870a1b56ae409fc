"""What follows a study's last trial: its comparison kept, and a run of it for W&B."""

from casas_ray.config import Tracking
from casas_ray.corpus.prepare import Watch
from casas_ray.records.study_record import StudyRecord, write_results
from casas_ray.report.table import curves, flat_rows, study_table
from casas_ray.tracking.outgoing import Summary
from casas_ray.tracking.views import tells_wandb


def conclude(record: StudyRecord, tracking: Tracking, watch: Watch, *, is_news: bool) -> None:
    """Keep a study's comparison in its folder for scripts that read it later, and where something
    was trained tell W&B of it, as the tracking settings ask."""
    # Before W&B: the results stand whatever follows.
    write_results(record, study_table(record.results(), record.rule).as_dict())
    if is_news and tells_wandb(tracking):
        summarise(record, tracking, watch)


def summary_of(record: StudyRecord) -> Summary:
    """What W&B is told of a whole study."""
    results = record.results()
    return Summary(record, flat_rows(study_table(results, record.rule)), curves(results))


def summarise(record: StudyRecord, tracking: Tracking, watch: Watch) -> None:
    """Send W&B a run for the whole study; where it will not have it, say so and go on."""
    from casas_ray.tracking.side_runs import send_summary  # seconds to import

    try:
        send_summary(summary_of(record), tracking)
    except Exception as error:  # the comparison is on disk, and W&B is a view of it
        watch(f"W&B has no summary of the study: {str(error).strip().splitlines()[0]}")
