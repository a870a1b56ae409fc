"""Begin and end marks, and what to do when they do not pair up."""

from casas_ray.corpus.activities import Mark, Span, label_rows, runs_of, spans_of
from casas_ray.corpus.events import NO_ACTIVITY


def labels(marks: list[tuple[int, str]], rows: int = 8) -> list[str]:
    found = spans_of([Mark(row, *text.split()) for row, text in marks])
    names = label_rows(found.spans, rows)
    return ["-" if name == NO_ACTIVITY else name for name in names]


def test_an_activity_labels_its_events_from_begin_to_end():
    assert labels([(2, "Read begin"), (4, "Read end")]) == list("--") + ["Read"] * 3 + list("---")


def test_of_overlapping_activities_the_most_recently_begun_open_one_labels():
    marks = [(0, "A begin"), (2, "B begin"), (4, "B end"), (6, "A end")]
    assert labels(marks) == ["A", "A", "B", "B", "B", "A", "A", "-"]


def test_crossing_activities_fall_back_to_the_one_still_open():
    marks = [(0, "A begin"), (2, "B begin"), (4, "A end"), (6, "B end")]
    assert labels(marks) == ["A", "A", "B", "B", "B", "B", "B", "-"]


def test_a_log_that_starts_within_an_activity_is_labelled_from_its_start():
    assert labels([(2, "A end"), (4, "B begin"), (5, "B end")])[:4] == ["A", "A", "A", "-"]


def test_a_later_end_without_a_begin_labels_its_own_event():
    marks = [(0, "B begin"), (1, "B end"), (4, "A end")]
    assert labels(marks) == ["B", "B", "-", "-", "A", "-", "-", "-"]


def test_a_doubled_begin_starts_anew_and_is_counted():
    marks = [Mark(0, "A", "begin"), Mark(3, "A", "begin"), Mark(5, "A", "end")]
    found = spans_of(marks)
    assert label_rows(found.spans, 6) == ["A", NO_ACTIVITY, NO_ACTIVITY, "A", "A", "A"]
    assert found.irregular == {"begin while open": 1}


def test_a_begin_without_an_end_labels_only_its_event():
    found = spans_of([Mark(1, "A", "begin")])
    assert label_rows(found.spans, 3) == [NO_ACTIVITY, "A", NO_ACTIVITY]
    assert found.irregular == {"begin without end": 1}


def test_where_every_line_has_a_label_its_runs_are_the_activities():
    labels = ["Cook", "Cook", NO_ACTIVITY, "Read", "Cook"]
    assert runs_of(labels) == [Span(0, 1, "Cook"), Span(3, 3, "Read"), Span(4, 4, "Cook")]
