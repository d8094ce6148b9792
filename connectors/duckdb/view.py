"""DuckDB as of one moment, for `cdc verify`: the digests and hashes of `cdc.digest` in DuckDB's SQL.

A cursor with an open transaction sees what was committed at its first statement, however many batches the writer commits
meanwhile. A column's text is the inverse of how it is loaded (`types.py`); what cannot be told as PostgreSQL prints it has
another form.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb
from duckdb import DuckDBPyConnection

from cdc.digest import BUCKET_SHIFT, KEY_LENGTH, NUMBER_DIGITS, TEXT, Forms, is_plain, key_of
from cdc.interfaces import Digest, Hashed
from cdc.schema import Column, Table
from connectors.duckdb import failures
from connectors.duckdb.catalog import read_columns, read_plan
from connectors.duckdb.names import Names
from connectors.duckdb.settings import Settings
from connectors.duckdb.types import ColumnType
from connectors.sql import comma, literal, qualified, quote

FETCHED = 10_000  # rows at a time
WHAT = "the target cannot be read"


@dataclass(frozen=True)
class Texts:
    """How a table's rows are told: from where, and for each column its form and the expression for its text."""

    target: str
    forms: Forms
    expressions: tuple[str, ...]


class DuckDBView:
    """Implements `cdc.interfaces.View` over a cursor, which it closes; `database` is the one that the writer uses."""

    def __init__(self, cursor: DuckDBPyConnection, database: str, settings: Settings) -> None:
        self._cursor = cursor
        self._database = database
        self._names = Names(cursor, database)  # they are those of one moment
        self._settings = settings
        self._known: dict[Table, Texts | None] = {}
        self._closed = False
        with self._explained(database):
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute("BEGIN")
            # The transaction begins for a database with the first statement that looks at it.
            cursor.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE database_name = $1", [database]
            ).fetchall()

    def forms(self, table: Table) -> Forms | None:
        texts = self._texts(table)
        return texts.forms if texts else None

    def digests(self, table: Table) -> Mapping[int, Digest]:
        number = f"('0x' || left(md5({self._row(table)}), {NUMBER_DIGITS}))::BIGINT"
        numbers = f"SELECT {number} AS n FROM {self._target(table)} AS r"
        query = f"SELECT n >> {BUCKET_SHIFT}, count(*), sum(n) FROM ({numbers}) GROUP BY 1"
        with self._explained(table.full_name):
            rows = self._cursor.execute(query).fetchall()
        return {bucket: Digest(count, int(total)) for bucket, count, total in rows}

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        key = "concat(" + comma(self._framed(table, index, plain=False) for index in key_of(table)) + ")"
        wanted = comma(f"'{bucket:02x}'" for bucket in buckets)
        query = (
            f"SELECT md5(k) AS kh, h, left(k, {KEY_LENGTH}) FROM"
            f" (SELECT {key} AS k, md5({self._row(table)}) AS h FROM {self._target(table)} AS r)"
            f" WHERE left(h, 2) IN ({wanted}) AND kh < {literal(below)} ORDER BY kh, h"
        )
        with self._explained(table.full_name):
            result = self._cursor.execute(query)
            try:
                while rows := result.fetchmany(FETCHED):
                    yield from map(Hashed._make, rows)
            finally:
                result.fetchall()  # a result that is not read to its end stands in the way of the next

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(duckdb.Error):
                self._cursor.execute("ROLLBACK")
            self._cursor.close()

    def _row(self, table: Table) -> str:
        return "concat(" + comma(self._framed(table, index) for index in range(len(table.columns))) + ")"

    def _framed(self, table: Table, index: int, *, plain: bool = True) -> str:
        """The arguments of `concat` for a column."""
        texts = self._texts(table)
        assert texts is not None, "asked for a table without forms"
        text = texts.expressions[index]
        return f"{text}, ';'" if plain and is_plain(table.columns[index]) else f"strlen({text}), ':', {text}"

    def _target(self, table: Table) -> str:
        target = qualified(self._database, table.schema, table.name)
        return f"(FROM {target} WHERE {quote(table.live)} IS NULL)" if table.live else target

    def _texts(self, table: Table) -> Texts | None:
        if table not in self._known:
            with self._explained(table.full_name):
                self._known[table] = self._read(table)
        return self._known[table]

    def _read(self, table: Table) -> Texts | None:
        present = read_columns(self._names, table)
        if not present:
            return None
        columns = tuple(column for column in table.columns if column.name in present)
        known = replace(table, columns=columns, primary_key=(), identity=())
        plan = read_plan(self._names, known, self._settings)
        kept = dict(zip(known.column_names, plan.columns if plan else (), strict=True))
        told = [_told(column, kept.get(column.name)) for column in table.columns]
        return Texts(self._target(table), tuple(form for form, _ in told), tuple(text for _, text in told))

    @contextmanager
    def _explained(self, where: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            told = failures.classify(error, what=WHAT, path=self._settings.path, where=where)
            raise told from failures.cause(error)


def _told(column: Column, kept: ColumnType | None) -> tuple[str, str]:
    """The form and the text of a column's values; `kept` is None if the target does not have it yet."""
    if kept is not None:
        return kept.form, kept.text_of(f"r.{quote(column.name)}")
    return TEXT, "NULL::VARCHAR" if column.missing is None else literal(column.missing.decode())
