"""DuckDB's errors, classified once: what may pass, what a person must mend, and which value a column refused.

DuckDB quotes values in the messages of failed casts, so those are not passed on, nor are they chained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import duckdb

from cdc.errors import CdcError, TargetError, TargetUnavailable, ValueRefused
from connectors.duckdb.sql import Plan

LOCKED = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")


def classify(error: Exception, *, what: str, path: str, where: str = "") -> CdcError:
    """The error for a person, for whatever DuckDB raised."""
    text = str(error).split("\n")[0]
    lower = text.lower()
    place = where or path
    if "lock" in lower and isinstance(error, duckdb.IOException):
        return locked(text, path)
    if "no space left" in lower or "disk full" in lower or "max_temp_directory_size" in lower:
        hint = f"free space beside {path} and start again"
        return TargetError(what, why="no space is left on the disk", where=place, hint=hint)
    if isinstance(error, duckdb.OutOfMemoryException):
        return TargetError(
            what,
            why="DuckDB's memory limit was reached",
            where=place,
            hint="raise memory_limit, or lower batch_rows",
        )
    if isinstance(error, (duckdb.IOException, duckdb.PermissionException)):
        if "permission denied" in lower or "read-only" in lower:
            return TargetError(
                what, why=text, where=place, hint=f"make {path} and its folder writable for this user"
            )
        return TargetUnavailable(what, why=text, where=place)
    if is_about_a_value(error):
        return ValueRefused(what, why="DuckDB refused a value", where=place, rule="unrepresentable")
    if isinstance(error, duckdb.TransactionException):
        return TargetUnavailable(what, why=text, where=place)
    if isinstance(error, duckdb.ConstraintException):
        return TargetError(what, why=f"{text}: rows have NULL where the target forbids it", where=place)
    return TargetError(what, why=text, where=place)


def is_about_a_value(error: Exception) -> bool:
    """Whether a cast has failed, or a function that stands for one."""
    return isinstance(error, duckdb.DataError | duckdb.InvalidInputException)


def cause(error: Exception) -> Exception | None:
    """What may be chained: not the messages that quote values."""
    return None if is_about_a_value(error) else error


def locked(text: str, path: str) -> TargetUnavailable:
    """Another process has the file open; DuckDB says which."""
    holder = LOCKED.search(text)
    who = f"by process {holder[2]} ({holder[1]})" if holder else "by another process"
    hint = f"end it (ps -p {holder[2]} shows it)" if holder else "end it"
    return TargetUnavailable("the DuckDB file is in use", why=f"it is held {who}", where=path, hint=hint)


def find_refused(
    connection: duckdb.DuckDBPyConnection, plan: Plan, views: Sequence[tuple[str, Sequence[str]]], name: str
) -> ValueRefused | None:
    """Which column of the failed rows has a text that its type refuses; asked outside the failed transaction."""
    for view, columns in views:
        for column in columns:
            index = int(column[1:]) if column[1:].isdigit() else -1
            if (
                column[0] not in "co"
                or index < 0
                or plan.columns[index].load == "{x}"
                or plan.may_null(index)
            ):
                continue
            rows = connection.execute(plan.refused(index, view, column[0])).fetchall()
            count, first = rows[0]
            if count:
                return refused(plan, index, count, first, name)
    return None


def refused(plan: Plan, index: int, count: int, first: str, name: str) -> ValueRefused:
    """Names everything but the value."""
    table, column = plan.table, plan.table.columns[index]
    full = f"{table.full_name}.{column.name}"
    kept = plan.columns[index].sql
    key = index in table.key
    return ValueRefused(
        f"{count} value{'s' if count > 1 else ''} cannot be kept as {kept} unaltered",
        rule="unrepresentable",
        why=f"{_kind_of(first)}; the column is {column.type_name or column.type.kind} in the source",
        where=full,
        hint=f'[warehouses.{name}.columns] "{full}" = "VARCHAR" keeps PostgreSQL\'s text'
        + ("" if key else f', [warehouses.{name}] unrepresentable = "null" stores NULL'),
    )


KINDS_OF_VALUE: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("NaN", lambda text: text.lower() == "nan"),
    ("an infinity", lambda text: "infinity" in text.lower()),
    ("a number", lambda text: re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?", text)),
    ("a time", lambda text: re.match(r"\d+-\d\d-\d\d", text)),
)


def _kind_of(text: str) -> str:
    """Of which kind a value is, without telling it."""
    kind = next((kind for kind, is_it in KINDS_OF_VALUE if is_it(text)), "a value")
    if kind == "a number":
        whole, _, decimals = text.lstrip("-").partition(".")
        return f"a number of {len(whole)} digits and {len(decimals)} decimals"
    return f"{kind} beyond DuckDB's range" if kind == "a time" else kind
