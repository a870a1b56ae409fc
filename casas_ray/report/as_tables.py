"""A study's ledgers as three plain tables, and questions in SQL about them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from casas_ray.errors import SettingsError, SetupError, first_line
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import StudyRecord
from casas_ray.report.pairs import Results
from casas_ray.report.provenance import seconds_of

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[dict[str, Any]]  # Any: text, a number or nothing
_TABLES = "trials (a line a training), rows (a line a metric of a step), settings (a line an arm's)"


@dataclass(frozen=True)
class Answer:
    """What a question came to."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]  # Any: what a column holds

    def as_dicts(self) -> list[dict[str, object]]:
        """As JSON can hold it: what is no number and no text there is written out."""
        return [
            {name: _plain(value) for name, value in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def ask(record: StudyRecord, question: str) -> Answer:
    """The answer to one SELECT over `trials`, `rows` and `settings` of a study.

    The tables are copies in memory: nothing on disk can be read or written by it.

    Raises:
        SettingsError: it is no SELECT, or names what is not there.
        SetupError: duckdb is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise SetupError("sql wants duckdb.", hint="pip install 'casas-ray[sql]'") from None
    # No variable of this program is a table, and no extension is fetched.
    connection = duckdb.connect(
        ":memory:",
        config={"python_enable_replacements": False, "autoinstall_known_extensions": False},
    )
    with connection:
        for name, table in tables_of(record.results()).items():
            connection.register("given", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
            connection.unregister("given")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        try:
            statements = connection.extract_statements(question)
            if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
                raise SettingsError("sql takes one SELECT.", hint=f"tables: {_TABLES}")
            found = connection.execute(statements[0])
            columns = [name for name, *_ in found.description or ()]
            return Answer(columns, found.fetchall())
        except duckdb.Error as error:
            raise SettingsError(first_line(error), hint=f"tables: {_TABLES}") from None


def tables_of(results: Results) -> "dict[str, pa.Table]":
    """The three tables, by name."""
    import pyarrow as pa

    trials, rows, settings = _trials(results), _rows(results), _settings(results)
    metrics = dict.fromkeys(name for row in trials for name in row if "/" in name)
    text, whole, number = pa.string(), pa.int64(), pa.float64()
    cell = {"arm": text, "seed": whole}
    ended = {"status": text, "step": whole, "best_step": whole, "seconds": number, "error": text}
    trial = pa.schema({**cell, **ended, **dict.fromkeys(metrics, number)})
    row = pa.schema({**cell, "step": whole, "time": number, "metric": text, "value": number})
    setting = pa.schema({"arm": text, "path": text, "value": text})
    return {
        "trials": pa.Table.from_pylist(trials, trial),
        "rows": pa.Table.from_pylist(rows, row),
        "settings": pa.Table.from_pylist(settings, setting),
    }


def _trials(results: Results) -> Rows:
    return [
        {
            "arm": arm,
            "seed": seed,
            "status": run.status,
            "step": run.step,
            "best_step": run.best_step,
            "seconds": seconds_of(run),
            "error": run.error or None,
            **run.best(),
        }
        for (arm, seed), run in results.items()
    ]


def _rows(results: Results) -> Rows:
    return [
        {"arm": arm, "seed": seed, **about, "metric": name, "value": float(value)}
        for (arm, seed), run in results.items()
        for about, metrics in _measured(run)
        for name, value in metrics.items()
    ]


def _measured(run: RunResult) -> list[tuple[dict[str, Any], Mapping[str, Any]]]:
    return [
        ({"step": row["step"], "time": row.get("time")}, row["metrics"])
        for row in run.rows
        if row["event"] == "metrics"
    ]


def _settings(results: Results) -> Rows:
    by_arm: dict[str, Mapping[str, object]] = {}
    for (arm, _), run in results.items():
        by_arm.setdefault(arm, run.info.get("recipe", {}))
    return [
        {"arm": arm, "path": path, "value": str(value)}
        for arm, recipe in by_arm.items()
        for path, value in recipe.items()
        if path != "seed"
    ]
