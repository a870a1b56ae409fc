"""A study's comparison for others to read: CSV, Markdown and LaTeX."""

import csv
import io

from casas_ray.names import cell, plain
from casas_ray.records.study_record import StudyRecord
from casas_ray.report.said import effect_said, in_short, rule_said, verdict_said
from casas_ray.report.table import METRICS, StudyTable

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


def as_csv(table: StudyTable, record: StudyRecord) -> str:
    """One line an arm, numbers in full; no spreadsheet takes a name for a formula."""
    parts = [f"{metric} {part}" for metric in METRICS for part in ("mean", "std")]
    judged = ["change", "low 95", "high 95", "pairs", "p", "p holm", "verdict", "caveats"]
    lines: list[list[object]] = [["arm", *parts, *judged]]
    for row in table.arms:
        spreads = [row.metrics[metric] for metric in METRICS]
        numbers = [
            each for one in spreads for each in ((one.mean, one.std) if one else (None, None))
        ]
        one = row.decision
        ends = one.interval if one and one.interval else (None, None)
        found = (
            [one.effect, *ends, len(one.pairs.differences), one.p, one.holm_p, one.verdict]
            if one
            else [None] * 7
        )
        lines.append([cell(row.name), *numbers, *found, cell(", ".join(record.marks))])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def as_markdown(table: StudyTable, record: StudyRecord) -> str:
    """A heading, the answer, a table and the rule."""
    header, *rows = _cells(table)
    lines = [header, ["---"] * len(header), *rows]
    body = "\n".join(f"| {' | '.join(map(_markdown, line))} |" for line in lines)
    said = "\n".join(_markdown(sentence) for sentence in rule_said(table.rule, table.decisions))
    answer = in_short(table.rule, table.decisions)
    return (
        f"## {_markdown(record.question)}\n\n{_markdown(_about(record))}\n\n"
        f"**{_markdown(answer)}**\n\n{body}\n\n{said}\n"
    )


def as_latex(table: StudyTable, record: StudyRecord) -> str:
    """A table of booktabs, with the answer as its caption."""
    header, *rows = _cells(table)
    body = "\n".join(f"{' & '.join(map(_latex, row))} \\\\" for row in rows)
    answer = in_short(table.rule, table.decisions)
    caption = _latex(f"{record.question} {_about(record)}. {answer}")
    return (
        "% \\usepackage{booktabs}\n\\begin{table}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(header) - 2)}l}}\n\\toprule\n"
        f"{' & '.join(map(_latex, header))} \\\\\n\\midrule\n{body}\n\\bottomrule\n"
        f"\\end{{tabular}}\n\\caption{{{caption}}}\n\\end{{table}}\n"
    )


def _about(record: StudyRecord) -> str:
    marks = f" ({', '.join(record.marks)})" if record.marks else ""
    return f"{record.study} on {', '.join(record.homes)}{marks}, validation days"


def _cells(table: StudyTable) -> list[list[str]]:
    """The table's head and rows, the baselines last."""
    names = [metric.removeprefix("val/") for metric in METRICS]
    lines = [["arm", "seeds", *names, "change [95 %]", "verdict"]]
    for row in table.arms:
        values = [str(row.metrics[metric] or "-") for metric in METRICS]
        one = row.decision
        judged = [effect_said(one), verdict_said(one)] if one else ["-", "-"]
        lines.append([row.name, row.seeds, *values, *judged])
    untrained = [str(table.untrained.get(metric) or "-") for metric in METRICS]
    chance = [
        f"{table.chance[metric]:.3f}" if metric in table.chance else "-" for metric in METRICS
    ]
    lines += [["untrained", "", *untrained, "", ""], ["chance", "", *chance, "", ""]]
    return lines


def _markdown(text: str) -> str:
    shown = plain(text)
    for sign in "\\`*_[]<>|":
        shown = shown.replace(sign, f"\\{sign}")
    return shown


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in plain(text))
