"""Answers a person's SQL from the file that this process writes: `cdc sql`.

Each question has a cursor and a read-only transaction of its own, so it sees one commit and the writer never waits for it.
All values are cast to text by DuckDB, which prints what Python has no type for. A thread looks on: it interrupts the statement
when its time is over, when nobody waits for it any more, and before it has taken the memory that the writer needs.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from cdc.errors import CdcError, ConfigError
from cdc.query import QueryColumn, Text
from connectors.duckdb.statement import admitted, not_understood
from connectors.sql import comma

LOOK_SECONDS = 0.02  # between two looks: a greedy statement takes some 25 MB meanwhile
GREEDY = 0.5  # the part of memory_limit, held so that it cannot be moved to the disk, at which questions end
CLOSE_SECONDS = 10.0  # to wait for a statement that cannot be interrupted
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BIGNUM")
# Sorts, joins and groups make room when the writer asks for it; what a list or a long text is put together in does not.
IN_USE = "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag = 'ALLOCATOR'"


class Queries:
    """The questions that are being answered over one connection. Any thread may call."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._root = connection.cursor()  # the writer's own is left alone
        self._lock = threading.Lock()
        self._open: set[Query] = set()
        self._closed = False
        [(limit,)] = self._root.execute("SELECT current_setting('memory_limit')").fetchall()
        self._limit = _bytes(limit)

    def ask(self, sql: str, seconds: float, gone: Callable[[], bool]) -> Query:
        """Begin to answer. Raises CdcError."""
        with self._lock:
            if self._closed:
                raise CdcError("the warehouse is being closed", hint="try again")
            query = Query(
                self._root.cursor(), self._root.cursor(), seconds, gone, self._limit, self._open.discard
            )
            self._open.add(query)
        try:
            query.begin(sql)
        except BaseException:
            query.close()
            raise
        return query

    def make_room(self) -> bool:
        """End all questions, because the writer needs the memory; whether there were any."""
        return self._end("the writer needed the memory")

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._end("the warehouse was closed")
        self._root.close()

    def _end(self, why: str) -> bool:
        found = list(self._open)
        for query in found:
            query.end(CdcError("the query was ended", why=why, hint="try again"))
            query.close()
        return bool(found)


class Query:
    """One question (`cdc.query.Rows`). `begin` and `fetch` are one thread's; the rest may be called by any."""

    def __init__(
        self,
        cursor: DuckDBPyConnection,
        looking: DuckDBPyConnection,
        seconds: float,
        gone: Callable[[], bool],
        limit: int,
        closed: Callable[[Query], None],
    ) -> None:
        self.columns: Sequence[QueryColumn] = ()
        self._cursor, self._looking = cursor, looking
        self._gone = gone
        self._closed = closed
        self._ended = threading.Event()
        self._why: CdcError | None = None
        self._busy = threading.Lock()  # held while the cursor works
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._limit = limit
        self._onlooker = threading.Thread(target=self._look_on, name="query", daemon=True)
        self._onlooker.start()

    def begin(self, sql: str) -> None:
        """Run it as far as its first rows."""
        with self._working():
            self._cursor.execute("BEGIN TRANSACTION READ ONLY")
            text, wrapped = admitted(self._cursor, sql)
            if not wrapped:
                self._cursor.execute(text)
                self.columns = [QueryColumn(name, "VARCHAR") for name in ("explain_key", "explain_value")]
                return
            try:
                bound = self._cursor.sql(text)
                self.columns = [_column(n, str(t)) for n, t in zip(bound.columns, bound.types, strict=True)]
            except duckdb.Error as error:
                if self._why is not None:
                    raise
                raise not_understood(error) from None
            names = [f"c{number}" for number in range(len(self.columns))]
            texts = comma(f"{name}::VARCHAR" for name in names)
            self._cursor.execute(f"SELECT {texts} FROM (\n{text}\n) AS q({comma(names)})")

    def fetch(self, rows: int) -> Sequence[Sequence[Text]]:
        with self._working():
            found: list[tuple[Any, ...]] = self._cursor.fetchmany(rows)
            return found

    def end(self, why: CdcError) -> None:
        """Have it fail with this."""
        self._why = self._why or why

    def close(self) -> None:
        until = time.monotonic() + CLOSE_SECONDS
        while not self._busy.acquire(timeout=LOOK_SECONDS):
            self._interrupt()
            if time.monotonic() > until:
                return
        try:
            if not self._ended.is_set():
                self._ended.set()
                self._why = self._why or CdcError("the query is closed")
                with contextlib.suppress(duckdb.Error):
                    self._cursor.execute("ROLLBACK")
                self._cursor.close()
                self._closed(self)
        finally:
            self._busy.release()
        self._onlooker.join()

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        with self._busy:
            if self._why is not None:
                raise self._why
            try:
                yield
            except duckdb.Error as error:
                if self._why is None:
                    raise _failed(error) from None
        if self._why is not None:
            raise self._why

    def _interrupt(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self._cursor.interrupt()

    def _look_on(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if time.monotonic() > self._deadline:
                hint = "ask for less, or raise [sql] max_seconds"
                self.end(
                    CdcError(
                        "the query took too long", why=f"{self._seconds:g} seconds are allowed", hint=hint
                    )
                )
            elif self._gone():
                self.end(CdcError("nobody waits for the answer"))
            elif self._is_greedy():
                self.end(_greedy())
            if self._why is not None:
                self._interrupt()  # again and again: it says nothing to a statement that is about to begin
        self._looking.close()

    def _is_greedy(self) -> bool:
        try:
            [(used,)] = self._looking.execute(IN_USE).fetchall()
        except duckdb.OutOfMemoryException:
            return True
        except duckdb.Error:
            return False
        return bool(used > self._limit * GREEDY)


def ask_file(connection: DuckDBPyConnection, sql: str, seconds: float, gone: Callable[[], bool]) -> FileQuery:
    """Ask over a connection of one's own, which is closed with the answer."""
    queries = Queries(connection)
    try:
        return FileQuery(queries.ask(sql, seconds, gone), queries, connection)
    except BaseException:
        queries.close()
        connection.close()
        raise


class FileQuery:
    """A question and all that was opened for it."""

    def __init__(self, query: Query, queries: Queries, connection: DuckDBPyConnection) -> None:
        self.columns = query.columns
        self.fetch = query.fetch
        self._query, self._queries, self._connection = query, queries, connection

    def close(self) -> None:
        self._query.close()
        self._queries.close()
        self._connection.close()


def _column(name: str, kind: str) -> QueryColumn:
    number = kind.partition("(")[0].removeprefix("U") in NUMBERS
    return QueryColumn(name, kind, "number" if number else "boolean" if kind == "BOOLEAN" else "text")


def _failed(error: duckdb.Error) -> CdcError:
    if isinstance(error, duckdb.OutOfMemoryException):
        return _greedy()
    if isinstance(error, duckdb.InternalException | duckdb.FatalException | duckdb.IOException):
        return CdcError("the query failed", why=str(error).strip())
    return ConfigError("the query failed", why=str(error).strip())


def _greedy() -> CdcError:
    return CdcError(
        "the query needs too much memory",
        why="it shares memory_limit with the writer",
        hint="ask for less, or raise memory_limit of the warehouse",
    )


UNITS = {"bytes": 1, "B": 1, **{f"{unit}B": 1000 ** (n + 1) for n, unit in enumerate("KMGT")}}
UNITS |= {f"{unit}iB": 1024 ** (n + 1) for n, unit in enumerate("KMGT")}


def _bytes(size: str) -> int:
    number, _, unit = size.partition(" ")
    return int(float(number) * UNITS[unit])
