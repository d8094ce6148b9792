"""SQL beside the writer of a DuckDB file: one commit is seen, the writer goes on, and what takes too much is ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.config import Config, SourceSettings, SqlSettings
from cdc.errors import EXIT_TRY_AGAIN, CdcError, ConfigError, TargetUnavailable
from cdc.fold import Merge
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.query import Lines, QueryRequest, Questions
from cdc.schema import Column, LogicalType, Table
from connectors import duckdb
from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.fixtures.line import eventually

COLUMNS = (Column("id", LogicalType("int8")), Column("v", LogicalType("int8")))
A, B = (Table("public", name, COLUMNS, primary_key=(0,)) for name in "ab")
ROWS = 5000
ENDLESS = "select count(*) from range(100000000000000)"
GREEDY = "select len(list(range)) from range(1000000000)"
BOTH = "select min(v), max(v) from (from public.a union all from public.b)"


def write(warehouse: DuckDBWarehouse, n: int) -> None:
    """One transaction, which sets every row of both tables to n."""
    for table in (A, B):
        warehouse.evolve(table)
        warehouse.apply(Merge(table, upserts=[(b"%d" % key, b"%d" % n) for key in range(ROWS)]))
    warehouse.commit(Checkpoint({"p": Mark(Position(n, 1))}))


class Asked:
    """A warehouse, and questions to it."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.settings = duckdb.Settings(path=str(folder / "w.duckdb"), memory_limit="200MB")
        self.warehouse: DuckDBWarehouse = duckdb.connect(self.settings, "local")
        write(self.warehouse, 1)
        self.gone = False
        self.limit(**limits)

    def limit(self, **limits: Any) -> None:
        config = Config(
            source=SourceSettings(dsn=""), warehouses={"local": self.settings}, sql=SqlSettings(**limits)
        )
        self.questions = Questions(config, lambda _: self.warehouse)

    def begin(self, sql: str, rows: int = 0) -> Lines:
        return self.questions.answer(QueryRequest(sql, rows=rows), lambda: self.gone)

    def __call__(self, sql: str, rows: int = 0) -> list[Any]:
        """Every line of an answer but the header."""
        lines = b"".join(self.begin(sql, rows)).splitlines()
        return [json.loads(line) for line in lines[1:]]

    def rows(self, sql: str) -> list[Any]:
        *rows, footer = self(sql)
        assert footer == {"rows": len(rows), "truncated": "", "error": None}
        return rows


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path)
    yield made
    made.warehouse.close()
    eventually(lambda: all(thread.name != "query" for thread in threading.enumerate()))


def in_thread(work: Callable[[], object], errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 – told by the test
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_every_answer_is_of_one_commit_while_the_writer_goes_on(asked: Asked) -> None:
    seen: list[int] = []
    over = threading.Event()
    errors: list[BaseException] = []

    def look() -> None:
        while not over.is_set():
            [[low, high]] = asked.rows(BOTH)
            assert low == high
            seen.append(low)

    threads = [in_thread(look, errors) for _ in range(2)]
    try:
        for n in range(2, 30):
            write(asked.warehouse, n)
        eventually(lambda: errors or 29 in seen)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert len(set(seen)) > 3, "they looked while it wrote"


def test_an_answer_half_read_is_of_its_commit_and_holds_up_nobody(asked: Asked) -> None:
    slow = asked.begin("select v, repeat('x', 2000) from public.a")
    next(slow)
    for n in range(2, 6):
        write(asked.warehouse, n)
    asked.warehouse.evolve(A)
    rows = [json.loads(line) for line in b"".join(slow).splitlines()]
    assert {row[0] for row in rows[:-1]} == {1}
    assert rows[-1]["rows"] == ROWS
    assert asked.rows(BOTH) == [[5, 5]]


def test_what_takes_too_long_is_ended(asked: Asked) -> None:
    asked.limit(max_seconds=0.3)
    began = time.monotonic()
    with pytest.raises(CdcError, match=r"0\.3 seconds are allowed.*max_seconds"):
        asked(ENDLESS)
    assert time.monotonic() - began < 10
    slow = asked.begin("select * from range(100000000)")
    next(slow)
    assert b"took too long" in b"".join(slow)


def test_what_takes_too_much_memory_is_ended_and_the_writer_is_none_the_worse(asked: Asked) -> None:
    over = threading.Event()
    errors: list[BaseException] = []
    told: list[str] = []

    def greedy() -> None:
        while not over.is_set():
            with pytest.raises(
                CdcError, match=r"too much memory|memory, and was ended|writer needed"
            ) as raised:
                asked(GREEDY)
            told.append(str(raised.value))

    thread = in_thread(greedy, errors)
    try:
        for n in range(2, 40):
            write(asked.warehouse, n)
        eventually(lambda: errors or len(told) > 2)
    finally:
        over.set()
        thread.join()
    assert not errors
    assert asked.rows(BOTH) == [[39, 39]]


def test_when_the_writer_needs_the_memory_questions_end_and_it_is_to_try_again(asked: Asked) -> None:
    """DuckDB's own refusal, which the onlooker is usually faster than."""
    import duckdb as driver

    waiting = asked.begin("select * from range(100000000)")
    next(waiting)
    with pytest.raises(TargetUnavailable, match="a query had taken the memory"):  # noqa: SIM117
        with asked.warehouse._transaction("rows cannot be applied", "public.a"):
            raise driver.OutOfMemoryException("Out of Memory Error: failed to allocate")
    assert b"the writer needed the memory" in b"".join(waiting)
    write(asked.warehouse, 2)
    assert asked.rows(BOTH) == [[2, 2]]


def test_rows_and_bytes_beyond_the_limits_are_left_out_and_said_to_be(asked: Asked) -> None:
    assert asked("select * from range(10)", rows=3)[-1] == {"rows": 3, "truncated": "rows", "error": None}
    assert asked("select * from range(3)", rows=3)[-1]["truncated"] == ""
    asked.limit(max_rows=100)
    assert asked("select * from range(1000000)", rows=5000)[-1] == {
        "rows": 100,
        "truncated": "rows",
        "error": None,
    }
    asked.limit(max_bytes=1_000_000)
    *rows, footer = asked("select repeat('x', 1000) from range(1000000)")
    assert footer == {"rows": len(rows), "truncated": "bytes", "error": None}
    assert 900 < len(rows) < 2000


def test_the_end_of_a_client_is_noticed_while_it_waits_for_a_first_row(asked: Asked) -> None:
    errors: list[BaseException] = []
    thread = in_thread(lambda: asked(ENDLESS), errors)
    eventually(lambda: asked.warehouse.queries._open)
    asked.gone = True
    thread.join(20)
    assert "nobody waits" in str(errors[0])
    assert not asked.warehouse.queries._open


def test_more_than_a_few_at_a_time_are_told_to_try_again(asked: Asked) -> None:
    asked.limit(concurrent=1)
    first = asked.begin("select 1")
    with pytest.raises(CdcError, match="others are asking") as raised:
        asked("select 1")
    assert raised.value.exit_code == EXIT_TRY_AGAIN
    first.close()
    first.close()
    assert asked.rows("select 1") == [[1]]
    for wrong in ("selec", "from nowhere", "delete from public.a"):
        with pytest.raises(ConfigError):
            asked(wrong)
    assert asked.rows("select 1") == [[1]], "whoever was refused has let go"


def test_closing_the_warehouse_ends_whatever_is_asked(asked: Asked) -> None:
    errors: list[BaseException] = []
    thread = in_thread(lambda: asked(ENDLESS), errors)
    idle = asked.begin("select * from range(100000000)")
    next(idle)
    eventually(lambda: len(asked.warehouse.queries._open) == 2)
    asked.warehouse.close()
    thread.join(20)
    assert "the warehouse was closed" in str(errors[0])
    assert b"the warehouse was closed" in b"".join(idle)
    with pytest.raises(CdcError, match="being closed"):
        asked("select 1")
    asked.warehouse = duckdb.connect(asked.settings, "local")
    assert asked.rows(BOTH) == [[1, 1]]


def test_values_are_told_as_duckdb_prints_them(asked: Asked) -> None:
    [row] = asked.rows(
        "select 1::hugeint, 1.50::decimal(5, 2), 'nan'::double, 1e300::double, '-inf'::float, true, null, '', 'infinity'::date,"
        " [1.10::decimal(4, 2)], {'a': [1]}, '\\xAA'::blob, '{\"a\": 1}'::json, timestamptz '2026-01-01 00:00:00+00'"
    )
    assert row == [
        *(1, 1.5, "nan", 1e300, "-inf", True, None, "", "infinity"),
        *("[1.10]", "{'a': [1]}", "\\xAA", '{"a": 1}', "2026-01-01 00:00:00+00"),
    ]
    told = b"".join(asked.begin("select 12345678901234567890.10::decimal(38, 2) as a, 1 as a")).splitlines()
    assert told[1] == b"[12345678901234567890.10,1]"
