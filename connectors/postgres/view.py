"""PostgreSQL as of one moment, for `cdc verify`: the same SQL as for the source, over the target's table.

A transaction of isolation level repeatable read sees what was committed at its first statement, however many batches the writer
commits meanwhile. Every value is told by its type's output function, as the stream does, or is that text.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql
from psycopg.sql import SQL, Identifier

from cdc.digest import TEXT, Forms
from cdc.interfaces import Digest, Hashed
from cdc.schema import Table
from cdc.source.digest import SourceDigests
from connectors.postgres import failures, opening
from connectors.postgres.opening import Connection
from connectors.postgres.present import Target, read_target
from connectors.postgres.settings import Settings
from connectors.postgres.statements import Statements

WHAT = "the target cannot be read"


class PostgresView:
    """Implements `cdc.interfaces.View` over a connection, which it closes."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._statements = Statements(connection)
        self._where = opening.where(settings)
        self._known: dict[Table, Target | None] = {}
        with self._explained(self._where):
            connection.execute(b"begin isolation level repeatable read read only")
            connection.execute(b"select pg_catalog.txid_current_if_assigned()")  # takes the snapshot

    def forms(self, table: Table) -> Forms | None:
        return None if self._target(table) is None else (TEXT,) * len(table.columns)

    def digests(self, table: Table) -> Mapping[int, Digest]:
        with self._explained(table.full_name):
            return self._digests(table).digests()

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        with self._explained(table.full_name):
            yield from self._digests(table).hashes(buckets, below)

    def close(self) -> None:
        self._connection.close()

    def _digests(self, table: Table) -> SourceDigests:
        target = self._target(table)
        assert target is not None, "asked for a table without forms"
        columns = []
        for column in table.columns:
            missing: sql.Composable = (
                SQL("null") if column.missing is None else sql.Literal(column.missing.decode())
            )
            present = (
                Identifier(column.name) if column.name in target.columns else SQL("{}::text").format(missing)
            )
            columns.append(SQL("{} as {}").format(present, Identifier(column.name)))
        # What the source calls text may be kept otherwise: its length is then that of its text.
        table = replace(table, columns=tuple(replace(column, type_oid=0) for column in table.columns))
        live = SQL(" where {} is null").format(Identifier(table.live)) if table.live else SQL("")
        source = SQL("(select {} from {}{})").format(
            SQL(", ").join(columns), Identifier(table.schema, table.name), live
        )
        return SourceDigests(self._connection, table, source, (TEXT,) * len(columns))

    def _target(self, table: Table) -> Target | None:
        if table not in self._known:
            with self._explained(table.full_name):
                self._known[table] = read_target(self._statements, table)
        return self._known[table]

    @contextmanager
    def _explained(self, where: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise failures.classify(error, what=WHAT, where=where) from failures.cause(error)
