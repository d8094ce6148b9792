"""Opens the file, and finds out beforehand why it could not be opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb
import tenacity

from cdc.check import Check
from cdc.errors import CdcError, TargetError, TargetUnavailable
from connectors.duckdb import failures
from connectors.duckdb.read_copy import TEMPORARY
from connectors.duckdb.settings import Settings
from connectors.sql import comma, literal

T = TypeVar("T")
STEP, OF_A_TABLE = 128, 512 << 10  # tables; bytes, a block of versions and some for what is new
SIZE = re.compile(r"(\d+(\.\d+)?) ?(\w+)")
WHAT = "the DuckDB file cannot be opened"


def open_file(settings: Settings, then: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """Open the file and hand the connection on; it is closed again if that fails."""
    connection = _patiently(settings)
    try:
        return then(connection)
    except duckdb.Error as error:
        connection.close()
        raise failures.classify(error, what=WHAT, path=settings.path) from error
    except CdcError:
        connection.close()
        raise


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(TargetUnavailable),
    stop=tenacity.stop_after_delay(1),  # as long as a `cdc status` may have it open
    wait=tenacity.wait_fixed(0.1),
    reraise=True,
)
def _patiently(settings: Settings) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(settings.path, config=_config(settings))
        # As the source's session, so that times are text for text the same. In `config`, it would make DuckDB look for its
        # extension icu on the network, though that is linked in.
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        if not settings.remote:
            shut_out_files(connection, _read_copy_files(settings))
        return connection
    except duckdb.Error as error:
        raise failures.classify(error, what=WHAT, path=settings.path) from error


def open_to_read(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The file for reading alone, while nobody writes."""
    if settings.in_memory:
        raise TargetError(
            "there is nothing to ask",
            why="the database is in the memory of `cdc run`, which answers while it runs",
        )
    if not Path(settings.path).exists():
        raise TargetError(
            "there is no DuckDB file to ask",
            where=settings.path,
            hint="`cdc run` makes it and answers meanwhile",
        )
    try:
        connection = duckdb.connect(settings.path, read_only=True, config=_config(settings))
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        shut_out_files(connection, ())
    except duckdb.Error as error:
        raise failures.classify(error, what=WHAT, path=settings.path) from error
    return connection


def shut_out_files(connection: duckdb.DuckDBPyConnection, but: Sequence[str]) -> None:
    """From now on DuckDB opens nothing in this process but its own files and these; it cannot be told otherwise again.

    What is asked by `cdc sql` runs in it, beside the writer, who needs no more than that.
    """
    [(open_yet,)] = connection.execute("SELECT current_setting('enable_external_access')").fetchall()
    if open_yet:  # a view may have kept the instance that a line before this one opened
        connection.execute(f"SET allowed_paths = [{comma(map(literal, but))}]")
        connection.execute("SET enable_external_access = false")


def _read_copy_files(settings: Settings) -> list[str]:
    if not settings.read_copy:
        return []
    beside = settings.read_copy + TEMPORARY
    return [beside + end for end in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]


def make_room(connection: duckdb.DuckDBPyConnection, settings: Settings, tables: int) -> None:
    """Let DuckDB's buffers have what so many tables take: versions of rows, in a block for each, are never put on disk."""
    if tables > STEP and tables % STEP == 0:
        connection.execute(f"SET memory_limit = '{size(settings.memory_limit) + tables * OF_A_TABLE}B'")


def size(text: str) -> int:
    """The bytes of a `Size`."""
    found = SIZE.fullmatch(text)
    assert found is not None, text  # the setting's pattern has let it in
    number, unit = found[1], found[3]
    power = " KMGT".index(unit[0]) if unit[0] in "KMGT" else 0
    return int(float(number) * (1024 if "i" in unit else 1000) ** power)


def _config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
    }
    if settings.remote:  # by DuckDB's extension motherduck, which it fetches when it is first needed
        return {**limits, "motherduck_token": settings.token} if settings.token else limits
    return {
        **limits,
        "checkpoint_threshold": settings.checkpoint_threshold,
        "autoinstall_known_extensions": False,  # nothing is fetched from the network behind one's back
    }


def check_file(settings: Settings) -> list[Check]:
    """Look at the file by reading it, and at the right to write it."""
    path = Path(settings.path)
    name = f"DuckDB {settings.path}"
    if settings.in_memory:
        return [Check(name, "ok", "gone with the process: all tables are copied again at every start")]
    if settings.remote:
        return [_check_remote(name, settings)]
    if not path.exists():
        return [_check_folder(name, path.absolute().parent)]
    try:
        duckdb.connect(settings.path, read_only=True).close()
    except duckdb.Error as error:
        known = failures.classify(error, what=WHAT, path=settings.path)
        return [Check(name, "fail", f"{known.what}: {known.why}", known.hint)]
    for each in (path, path.absolute().parent):
        if not os.access(each, os.W_OK):
            return [Check(name, "fail", f"{each} cannot be written by this user", f"chmod u+w {each}")]
    return [Check(name, "ok", f"{path.stat().st_size / 1e6:.1f} MB, not in use")]


def _check_remote(name: str, settings: Settings) -> Check:
    try:
        open_file(settings, lambda connection: connection.close())
    except CdcError as known:
        return Check(name, "fail", f"{known.what}: {known.why}", known.hint)
    return Check(name, "ok", "can be reached")


def _check_folder(name: str, folder: Path) -> Check:
    if not folder.is_dir():
        return Check(name, "fail", f"the folder {folder} does not exist", f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(name, "fail", f"{folder} cannot be written by this user", f"chmod u+w {folder}")
    return Check(name, "ok", "will be created")
