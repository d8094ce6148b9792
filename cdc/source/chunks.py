"""The SQL of a chunk: rows of a table between two keys, in key order. Keys are texts, as PostgreSQL prints them."""

from __future__ import annotations

from psycopg import sql

from cdc.schema import Table
from cdc.source.connect import Connection

NEXT_LEAF = """
    select c.oid::bigint, n.nspname::text, c.relname::text from pg_partition_tree(%s::oid::regclass) tree
    join pg_class c on c.oid = tree.relid join pg_namespace n on n.oid = c.relnamespace
    where tree.isleaf and c.oid::bigint >= %s order by c.oid::bigint limit 1"""
"""The leaves of a partitioned table in the order of their oids: one that is added while they are copied comes last."""


class Part:
    """What a chunk is read from: a table, a partition of it or a statement in its place, less what `where` leaves out."""

    def __init__(self, table: Table, source: sql.Composable, where: str = "") -> None:
        self.table = table
        self._source = source
        self._where = where

    def select(self, after: list[str] | None = None, through: list[str] | None = None) -> sql.Composed:
        """All columns of the rows with `after` < key ≤ `through`; None: no bound."""
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in self.table.columns)
        conditions: list[sql.Composable] = [
            sql.SQL("({}) {} ({})").format(self._key_columns(), sql.SQL(operator), self._key_values(key))
            for operator, key in ((">", after), ("<=", through))
            if key is not None
        ]
        if self._where:
            # with line ends, or a comment at its end would hide the bracket
            conditions.append(sql.SQL("(\n{}\n)").format(sql.SQL(self._where)))
        where = sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")
        return sql.SQL("select {} from {}{}").format(columns, self._source, where)

    def last_key(self, connection: Connection, after: list[str] | None, rows: int) -> list[str] | None:
        """The key of the last row of a chunk of `rows` rows; None if no more than that are left."""
        table = self.table
        names = [sql.Identifier("chunk", table.columns[index].name) for index in table.key]
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names)
        # names with their table: a bare one would mean the text of that name in the select list
        query = sql.SQL("select {} from ({}) chunk order by {} offset {} limit 1").format(
            texts, self.select(after), sql.SQL(", ").join(names), sql.Literal(rows - 1)
        )
        row = connection.execute(query).fetchone()
        return list(row) if row else None

    def _key_columns(self) -> sql.Composed:
        table = self.table
        return sql.SQL(", ").join(sql.Identifier(table.columns[index].name) for index in table.key)

    def _key_values(self, key: list[str]) -> sql.Composed:
        table = self.table
        return sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(table.columns[index].type_name))
            for index, text in zip(table.key, key, strict=True)
        )


def statement_source(statement: str) -> sql.Composable:
    """A statement as from-clause."""
    return sql.SQL("(\n{}\n) as chosen").format(sql.SQL(statement.strip().rstrip(";")))
