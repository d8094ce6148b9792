"""Runs the plans' statements as the server's prepared ones, with parameters that are text already.

Straight on libpq: a statement over one table of a thousand costs a tenth of a millisecond then, half of what a cursor
takes. Errors are psycopg's.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from connectors.postgres.opening import Connection

KEPT = 4000  # statements in the session: the oldest gives way


class Statements:
    """For one connection. A prepared statement outlives a rollback."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._names: dict[str, bytes] = {}
        self._numbers = itertools.count()

    def run(self, sql: str, parameters: Sequence[bytes] = ()) -> pq.abc.PGresult:
        """The result, of rows or of how many were touched. Raises psycopg.Error."""
        name = self._names.get(sql)
        if name is None:
            name = self._prepare(sql)
        return self._checked(self._connection.pgconn.exec_prepared(name, parameters))

    def rows(self, sql: str, parameters: Sequence[bytes] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, their values as a cursor gives them."""
        result = self.run(sql, parameters)
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def _prepare(self, sql: str) -> bytes:
        if len(self._names) >= KEPT:
            oldest = next(iter(self._names))
            self._connection.execute(b"deallocate " + self._names.pop(oldest))
        name = b"_cdc_%d" % next(self._numbers)
        self._checked(self._connection.pgconn.prepare(name, sql.encode()))
        self._names[sql] = name
        return name

    def _checked(self, result: pq.abc.PGresult) -> pq.abc.PGresult:
        if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            return result
        if self._connection.closed:
            raise psycopg.OperationalError(self._connection.pgconn.get_error_message())
        raise psycopg.errors.error_from_result(result, encoding="utf-8")


def count(result: pq.abc.PGresult) -> int:
    """Rows that were touched."""
    return result.command_tuples or 0


def first_column(result: pq.abc.PGresult) -> list[Any]:
    return [result.get_value(row, 0) for row in range(result.ntuples)]
