"""The copy of the DuckDB file that other processes read while ours writes: whole, of one commit, at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from cdc.errors import ConfigError
from cdc.fold import Merge
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.schema import Column, LogicalType, Table
from connectors import duckdb

COLUMNS = (Column("id", LogicalType("int8")), Column("v", LogicalType("int8")))
A, B = (Table("public", name, COLUMNS, primary_key=(0,)) for name in "ab")
ROWS = 2000
WRITES = """
import sys
from pathlib import Path
from tests.integration.test_duckdb_read_copy import opened, write
warehouse = opened(Path(sys.argv[1]))
for n in range(1, 1_000_000):
    write(warehouse, n)
    print(n, flush=True)
"""
READS = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print(*connection.execute(
    "SELECT (SELECT min(v) FROM public.a), (SELECT max(v) FROM public.a),"
    " (SELECT min(v) FROM public.b), (SELECT max(v) FROM public.b), (SELECT count(*) FROM public.a)"
).fetchone())
"""


def opened(folder: Path, seconds: float = 0.01) -> duckdb.DuckDBWarehouse:  # type: ignore[name-defined]
    settings = duckdb.Settings(
        path=str(folder / "w.duckdb"),
        read_copy=str(folder / "copy.duckdb"),
        read_copy_seconds=seconds,
    )
    return duckdb.connect(settings, "local")


def write(warehouse: duckdb.DuckDBWarehouse, n: int) -> None:  # type: ignore[name-defined]
    """One transaction, which sets every row of both tables to n."""
    for table in (A, B):
        warehouse.evolve(table)
        warehouse.apply(Merge(table, upserts=[(b"%d" % key, b"%d" % n) for key in range(ROWS)]))
    warehouse.commit(Checkpoint({"p": Mark(Position(n, 1))}))


def read(folder: Path) -> int:
    """What another process sees in the copy: one n in all rows of both tables."""
    command = [sys.executable, "-c", READS, str(folder / "copy.duckdb")]
    *values, count = map(int, subprocess.check_output(command, text=True).split())
    assert len(set(values)) == 1
    assert count == ROWS
    return values[0]


def eventually(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_another_process_reads_whole_transactions_while_ours_writes_and_after_its_kill(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy.duckdb"
    last = 0
    for _ in range(2):
        command = [sys.executable, "-c", WRITES, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as writer:
            try:
                before = copy.stat().st_ino if copy.exists() else 0
                eventually(lambda before=before: copy.exists() and copy.stat().st_ino != before)  # type: ignore[misc]
                seen = [read(tmp_path) for _ in range(3)]
                assert writer.poll() is None
            finally:
                writer.send_signal(signal.SIGKILL)
        assert seen == sorted(seen)
        last = read(tmp_path)  # after the kill, in the middle of whatever it did
        assert last > 0
    with_leftovers = opened(tmp_path)
    write(with_leftovers, 10_000_000)
    eventually(lambda: read(tmp_path) == 10_000_000)
    with_leftovers.close()
    assert not list(tmp_path.glob("copy.duckdb.*"))


def test_a_copy_is_made_only_when_more_than_marks_has_changed(tmp_path: Path) -> None:
    warehouse, copy = opened(tmp_path), tmp_path / "copy.duckdb"
    write(warehouse, 1)
    eventually(copy.exists)
    first = copy.stat().st_mtime_ns
    for n in range(2, 12):
        warehouse.commit(Checkpoint({"p": Mark(Position(n, 1))}))
        time.sleep(0.03)
    assert copy.stat().st_mtime_ns == first
    write(warehouse, 20)
    eventually(lambda: copy.stat().st_mtime_ns != first)
    assert read(tmp_path) == 20
    warehouse.close()


def test_a_copy_that_fails_is_told_and_tried_again_and_the_line_goes_on(tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.mkdir()
    (copy / "in the way").touch()
    with structlog.testing.capture_logs() as logs:
        warehouse = opened(tmp_path)
        write(warehouse, 1)
        eventually(lambda: any(each["event"] == "duckdb.read_copy_failed" for each in logs))
        write(warehouse, 2)
        (copy / "in the way").unlink()
        copy.rmdir()
        eventually(copy.is_file)
        assert read(tmp_path) == 2
        warehouse.close()


def test_a_copy_onto_the_file_itself_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "w.duckdb")
    with pytest.raises(ConfigError, match="names the database itself"):
        duckdb.connect(duckdb.Settings(path=path, read_copy=path), "local")
