"""Finds the column whose text PostgreSQL refused, by trying each again after the rollback; names everything but the value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import psycopg
from psycopg import pq

from cdc.errors import ValueRefused
from cdc.events import UNSENT, Cell, Row
from cdc.fold import Merge
from connectors.postgres import failures, rows
from connectors.postgres.opening import Connection
from connectors.postgres.sql import Plan, try_table

REASONS = {
    "22001": "it is too long for the column",
    "22003": "it is out of the type's range",
    "22007": "it is no such date or time",
    "22008": "it is out of the range of dates and times",
    "22P02": "it is not a text of this type",
    "22021": "it is not UTF-8",
    "22P05": "a character has no place in the target's encoding",
}


def find_refused(
    connection: Connection, plan: Plan, merge: Merge, name: str, error: psycopg.Error
) -> ValueRefused | None:
    """Of a merge that was rolled back. None: it was not a column's text."""
    if merge.chunk is not None:
        return _of_copy(plan, error, name)
    for index, cells in _columns(plan, merge):
        if (state := _refusal(connection, plan, index, cells)) is None:
            continue
        while len(cells) > 1:
            half = cells[: len(cells) // 2]
            cells = half if _refusal(connection, plan, index, half) else cells[len(cells) // 2 :]
        return _refused(plan, index, _refusal(connection, plan, index, cells) or state, name)
    return None


def _of_copy(plan: Plan, error: psycopg.Error, name: str) -> ValueRefused | None:
    """COPY says in which column, and then quotes the value."""
    found = re.search(r"COPY .*?, line \d+, column (.*)", error.diag.context or "", re.DOTALL)
    for index, column in enumerate(plan.table.column_names):
        if found and (found[1] == column or found[1].startswith(f"{column}: ")):
            return _refused(plan, index, error.sqlstate or "", name)
    return None


def _columns(plan: Plan, merge: Merge) -> Iterator[tuple[int, Sequence[Cell]]]:
    groups: list[Sequence[Row]] = [
        [*merge.upserts, *merge.inserts, *merge.removals],
        [patch.row for patch in merge.patches],
    ]
    for group in groups:
        if group:
            for index, cells in enumerate(rows.columns(group)):
                yield index, [cell for cell in cells if cell is not UNSENT]
    if merge.deletes:
        yield from zip(plan.table.key, rows.columns(merge.deletes), strict=True)


def _refusal(connection: Connection, plan: Plan, index: int, cells: Sequence[Cell]) -> str | None:
    """The SQLSTATE with which these texts are refused; None: they are taken."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(try_table(plan).encode())
            result = connection.pgconn.exec_params(plan.reads(index).encode(), [rows.array(cells)])
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
    except psycopg.Error as error:
        if not failures.is_about_a_value(error):
            raise
        return error.sqlstate
    return None


def _refused(plan: Plan, index: int, state: str, name: str) -> ValueRefused:
    table, column = plan.table, plan.table.columns[index]
    full = f"{table.full_name}.{column.name}"
    kept = plan.columns[index].base
    labels = " (a label that the target's type lacks?)" if column.type.kind == "enum" else ""
    return ValueRefused(
        f"a value cannot be kept as {kept} unaltered",
        rule="types",
        why=f"{REASONS.get(state, 'PostgreSQL refuses it')}{labels}; the column is"
        f" {column.type_name or column.type.kind} in the source",
        where=full,
        hint=f'alter the column in the target to text (and `[warehouses.{name}.columns] "{full}" = "text"` for new tables)',
    )
