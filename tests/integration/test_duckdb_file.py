"""The file: held by another process, damaged, read-only, on a full disk, and after the end of a process in mid-work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc.errors import TargetError, TargetUnavailable
from cdc.fold import Merge
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.schema import Column, LogicalType, Table
from connectors import duckdb

TABLE = Table(
    "public", "t", (Column("id", LogicalType("int8")), Column("v", LogicalType("text"))), primary_key=(0,)
)
PROGRAM = """
import os, resource, sys
from tests.integration.test_duckdb_file import TABLE, Checkpoint, Mark, Merge, Position, duckdb
warehouse = duckdb.connect(duckdb.Settings(path=sys.argv[1]), "other")
warehouse.evolve(TABLE)
warehouse.apply(Merge(TABLE, upserts=[(b"1", b"committed")]))
warehouse.commit(Checkpoint({"p": Mark(Position(1, 1))}))
"""
WAITS = "print('open', flush=True); sys.stdin.read()\n"
DIES = "warehouse.apply(Merge(TABLE, upserts=[(b'2', b'lost')])); os.kill(os.getpid(), 9)\n"
FULL = """
import random
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
for piece in range(50):
    try:
        warehouse.evolve(TABLE)
        warehouse.apply(Merge(TABLE, upserts=[(b"%d" % n, random.randbytes(500).hex().encode()) for n in range(2, 5000)]))
        warehouse.commit(Checkpoint({"p": Mark(Position(2 + piece, 1))}))
    except Exception as error:
        print(type(error).__name__, error, flush=True)
        os._exit(7)
"""


def python(program: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM + program, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def opened(path: Path) -> duckdb.DuckDBWarehouse:  # type: ignore[name-defined]
    return duckdb.connect(duckdb.Settings(path=str(path)), "local")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.duckdb"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open."""
    with python(WAITS, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_file_in_use_names_the_process(path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(TargetUnavailable, match=f"held by process {holder.pid}") as raised:
        opened(path)
    assert raised.value.retriable
    [check] = duckdb.preflight(duckdb.Settings(path=str(path)))
    assert check.state == "fail"
    assert str(holder.pid) in check.detail
    holder.kill()
    holder.wait()
    opened(path).close()
    assert [check.state for check in duckdb.preflight(duckdb.Settings(path=str(path)))] == ["ok"]


def test_after_the_end_of_the_process_the_last_commit_is_there(path: Path) -> None:
    with python(DIES, path) as process:
        assert process.wait() == -9
    warehouse = opened(path)
    assert warehouse.state() == Checkpoint({"p": Mark(Position(1, 1))})
    with warehouse.cursor() as cursor:
        assert cursor.execute("from public.t").fetchall() == [(1, "committed")]
    warehouse.close()


def test_no_room_is_one_clear_error_and_loses_nothing(path: Path) -> None:
    with python(FULL, path) as process:
        told, _ = process.communicate()
    assert process.returncode == 7, told
    assert told.startswith("TargetError")
    assert "limit on the size of files" in told
    warehouse = opened(path)
    done = warehouse.state().marks["p"].position.commit_lsn
    warehouse.evolve(TABLE)
    warehouse.apply(Merge(TABLE, upserts=[(b"9999", b"again")]))
    warehouse.commit(Checkpoint({"p": Mark(Position(done + 1, 1))}))
    with warehouse.cursor() as cursor:
        assert cursor.execute("select count(*) = count(distinct id), max(id) from public.t").fetchall() == [
            (True, 9999)
        ]
    warehouse.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no database at all " * 1000, "not a DuckDB database"), (b"", "not a DuckDB database")],
)
def test_a_file_that_is_no_database(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TargetError, match=message) as raised:
        opened(path)
    assert not raised.value.retriable
    assert path.read_bytes() == content
    [check] = duckdb.preflight(duckdb.Settings(path=str(path)))
    assert check.state == "fail"


def test_a_damaged_file(path: Path) -> None:
    opened(path).close()
    damaged = bytearray(path.read_bytes())
    damaged[12:16] = b"\xff" * 4
    path.write_bytes(damaged)
    with pytest.raises(TargetError, match="damaged"):
        opened(path)


def test_tables_of_another_format(path: Path) -> None:
    warehouse = opened(path)
    with warehouse.cursor() as cursor:
        cursor.execute("update _cdc.format set version = 99")
    warehouse.close()
    with pytest.raises(TargetError, match="has format 99"):
        opened(path)


def test_a_missing_folder_and_a_folder_in_its_place(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "no" / "w.duckdb", "folder does not exist"),
        (tmp_path, "it is a folder"),
    ):
        with pytest.raises(TargetError, match=message) as raised:
            opened(path)
        assert not raised.value.retriable
        assert [check.state for check in duckdb.preflight(duckdb.Settings(path=str(path)))] == ["fail"]


@pytest.mark.parametrize("made", [True, False])
def test_what_may_not_be_written(tmp_path: Path, made: bool) -> None:
    """As another user, since root may write everything."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = tmp_path / "w.duckdb"
    if made:
        opened(path).close()
    for folder in (path.parent, *path.parent.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)  # never less: one of them may be everybody's
    program = (
        "import os, sys\nfrom connectors import duckdb\nimport connectors.duckdb.warehouse, connectors.duckdb.opening\n"
        "os.setuid(65534)\nsettings = duckdb.Settings(path=sys.argv[1])\nprint(duckdb.preflight(settings))\n"
        "try: duckdb.connect(settings, 'x')\nexcept Exception as error: print(type(error).__name__, error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert "state='fail'" in told
    assert "TargetError" in told
    assert "may not write it" in told
