"""Selects rows by key from the source, in the text form of the stream: for rows that a warehouse knows only a
part of.

They are as they are now, which may be ahead of the stream; the stream then brings the same again. What the
source no longer has cannot be had: a row or a table that is gone gives nothing, a column that is gone gives
NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import psycopg
from psycopg import sql

from cdc.events import Row
from cdc.fold import Key
from cdc.schema import Column, Table
from cdc.source.connect import Connection

BATCH = 1000  # keys of one statement

NOW = """
    select c.relkind, array(select attname::text from pg_attribute
                            where attrelid = c.oid and attnum > 0 and not attisdropped)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s and c.relname = %s"""


def select_rows(connection: Connection, table: Table, keys: Sequence[Key]) -> Iterator[Row]:
    """Complete rows of these keys, in no order."""
    now = connection.execute(NOW, [table.schema, table.name]).fetchone()
    if now is None:
        return
    relkind, names = now
    columns = [column for column in table.columns if column.name in names]
    key = [table.columns[index] for index in table.key]
    if not key or any(column not in columns for column in key):
        return
    place = {column.name: number for number, column in enumerate(columns)}
    taken = [place.get(column.name, -1) for column in table.columns]
    for begin in range(0, len(keys), BATCH):
        query = _query(table, relkind, columns, key, keys[begin : begin + BATCH])
        try:
            result = connection.execute(query).pgresult
        except psycopg.errors.UndefinedTable:
            return  # dropped just now
        if result is None:
            continue
        for row in range(result.ntuples):
            yield tuple([None if number < 0 else result.get_value(row, number) for number in taken])


def from_clause(table: Table, relkind: str) -> sql.Composable:
    """The table to select from: without the rows of tables that inherit from it, which are streamed as theirs."""
    name = sql.Identifier(table.schema, table.name)
    return name if relkind == "p" else sql.SQL("only {}").format(name)


def _query(
    table: Table, relkind: str, columns: Iterable[Column], key: Sequence[Column], keys: Sequence[Key]
) -> sql.Composed:
    # Without a type name, the column is not what it was: its text is compared.
    typed = all(column.type_name for column in key)
    own = [sql.SQL("r.{}" if typed else "r.{}::text").format(sql.Identifier(column.name)) for column in key]
    asked = [
        sql.SQL("k.{}::{}").format(_alias(number), sql.SQL(column.type_name if typed else "text"))
        for number, column in enumerate(key)
    ]
    # Literals, not parameters: psycopg would look for placeholders in names such as "100%s".
    texts = [
        sql.SQL("{}::text[]").format([_text(cell) for cell in cells]) for cells in zip(*keys, strict=True)
    ]
    comma = sql.SQL(", ")
    return sql.SQL("select {} from {} r where ({}) in (select {} from unnest({}) as k ({}))").format(
        comma.join(sql.SQL("r.{}").format(sql.Identifier(column.name)) for column in columns),
        from_clause(table, relkind),
        comma.join(own),
        comma.join(asked),
        comma.join(texts),
        comma.join(_alias(number) for number in range(len(key))),
    )


def _alias(number: int) -> sql.Identifier:
    return sql.Identifier(f"k{number}")


def _text(cell: object) -> str | None:
    return cell.decode() if isinstance(cell, bytes) else None
