"""The SQL of a chunk: rows of a table between two keys, in key order. Keys are texts, as PostgreSQL prints them."""

from __future__ import annotations

from psycopg import sql

from cdc.schema import Table
from cdc.source.connect import Connection


def _key_columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table.columns[index].name) for index in table.key)


def _key_values(table: Table, key: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(table.columns[index].type_name))
        for index, text in zip(table.key, key, strict=True)
    )


def select_range(
    table: Table, source: sql.Composable, after: list[str] | None, through: list[str] | None
) -> sql.Composed:
    """All columns of the rows with `after` < key ≤ `through`; None: no bound. `source` is the table as from-clause."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    conditions = [
        sql.SQL("({}) {} ({})").format(_key_columns(table), sql.SQL(operator), _key_values(table, key))
        for operator, key in ((">", after), ("<=", through))
        if key is not None
    ]
    where = sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")
    return sql.SQL("select {} from {}{}").format(columns, source, where)


def last_key(
    connection: Connection, table: Table, source: sql.Composable, after: list[str] | None, rows: int
) -> list[str] | None:
    """The key of the last row of a chunk of `rows` rows; None if no more than that are left."""
    names = [sql.Identifier("chunk", table.columns[index].name) for index in table.key]
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names)
    # names with their table: a bare one would mean the text of that name in the select list
    query = sql.SQL("select {} from ({}) chunk order by {} offset {} limit 1").format(
        texts, select_range(table, source, after, None), sql.SQL(", ").join(names), sql.Literal(rows - 1)
    )
    row = connection.execute(query).fetchone()
    return list(row) if row else None
