"""DuckDB's errors, classified once: what may pass, what a person must mend, and which value a column refused.

DuckDB quotes values in the messages of failed casts, so those are not passed on, nor are they chained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import duckdb

from cdc.errors import CdcError, TargetError, TargetUnavailable, ValueRefused
from connectors.duckdb.sql import Plan

LOCKED = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")


class Known(NamedTuple):
    """An error of DuckDB's by a part of its text: what it means, and what a person does. `{path}` is the file."""

    part: str
    kind: type[TargetError]
    why: str
    hint: str


MEMORY = Known(
    "failed to pin block",
    TargetError,
    "DuckDB's memory limit was reached",
    "raise memory_limit, or lower batch_rows",
)
KNOWN = (
    MEMORY,
    Known(
        "no space left",
        TargetError,
        "no space is left on the disk",
        "free some beside {path} and start again",
    ),
    Known(
        "disk full", TargetError, "no space is left on the disk", "free some beside {path} and start again"
    ),
    Known(
        "max_temp_directory_size",
        TargetError,
        "the disk has no room for temporary files",
        "free some beside {path}",
    ),
    Known("file too large", TargetError, "a limit on the size of files was reached", "raise it (ulimit -f)"),
    Known(
        "permission denied", TargetError, "this user may not write it", "make {path} and its folder writable"
    ),
    Known("read-only", TargetError, "it can only be read", "make {path} and its folder writable"),
    Known(
        "no such file or directory",
        TargetError,
        "its folder does not exist",
        "create it, or correct the path",
    ),
    Known(
        "is a directory",
        TargetError,
        "it is a folder",
        "let path name a file, such as {path}/warehouse.duckdb",
    ),
    Known(
        "not a valid duckdb",
        TargetError,
        "the file is not a DuckDB database",
        "move it away, or correct the path",
    ),
    Known("version number", TargetError, "a newer DuckDB wrote it", "pip install --upgrade duckdb"),
    Known("newer version", TargetError, "a newer DuckDB wrote it", "pip install --upgrade duckdb"),
    Known(
        "corrupt",
        TargetError,
        "the file is damaged",
        "restore it from a copy, or move it away and copy the tables anew",
    ),
    Known(
        "different configuration",
        TargetError,
        "this process has it open already, with other settings",
        "close it",
    ),
)


def classify(error: Exception, *, what: str, path: str, where: str = "") -> CdcError:
    """The error for a person, for whatever DuckDB raised; what is not known to pass by itself is not tried again."""
    text = str(error).split("\n")[0]
    place = where or path
    if isinstance(error, duckdb.IOException) and "set lock" in text:
        return locked(text, path)
    for known in KNOWN:
        if known.part in text.lower():
            return known.kind(what, why=known.why, where=place, hint=known.hint.format(path=path))
    if isinstance(error, duckdb.OutOfMemoryException):
        return TargetError(what, why=MEMORY.why, where=place, hint=MEMORY.hint)
    if is_about_a_value(error):
        return ValueRefused(what, why="DuckDB refused a value", where=place, rule="unrepresentable")
    if isinstance(error, duckdb.IOException | duckdb.TransactionException):
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
    hint = f"end that process; `ps -p {holder[2]} -o args` shows what it is" if holder else "end that process"
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
