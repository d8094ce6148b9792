"""Publishes a copy of the database file for other processes to read, since only one can have the file itself open.

`COPY FROM DATABASE` in one transaction of a second cursor sees what was committed when it began and takes no lock that
the applier would wait for; a copy of the file's bytes would need a checkpoint and no commit until it ends. It goes to a file
beside, which is synced and then renamed over the last copy: whoever has that open keeps it, and a half one never has the name.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import duckdb
import structlog
from duckdb import DuckDBPyConnection

from cdc.errors import ConfigError
from connectors.duckdb import failures
from connectors.duckdb.settings import Settings

log = structlog.get_logger()

ALIAS = "_cdc_read_copy"  # of the file being written, in our process
STOP_SECONDS = 10.0
TEMPORARY = ".tmp"  # added to the name of the copy while it is written


class ReadCopy:
    """Copies in a thread of its own, from the first commit on, when rows or tables have changed since the last copy."""

    def __init__(self, connection: DuckDBPyConnection, database: str, settings: Settings) -> None:
        self._path = Path(settings.read_copy)
        if self._path.resolve() == Path(settings.path).resolve():
            raise ConfigError(
                "read_copy names the database itself", where=settings.path, hint="name another file"
            )
        self._beside = self._path.with_name(self._path.name + TEMPORARY)
        self._seconds = settings.read_copy_seconds
        self._database = database
        self._cursor = connection.cursor()
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def committed(self, *, changed: bool) -> None:
        """Rows or tables are durable, or only marks; the first time in any case, as the last copy may be of before a crash."""
        if changed or self._thread is None:
            self._changed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="read copy", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End, in the middle of a copy if need be."""
        self._stop.set()
        if self._thread is not None:
            ends = time.monotonic() + STOP_SECONDS
            while self._thread.is_alive() and time.monotonic() < ends:
                self._cursor.interrupt()  # again and again: it says nothing to a statement that is about to begin
                self._thread.join(0.05)
        self._cursor.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._changed.is_set():
                self._changed.clear()  # before the copy begins: what is committed meanwhile is for the next
                self._try()
            self._stop.wait(self._seconds)

    def _try(self) -> None:
        """A copy that fails is told and tried again, and is never the end of the line."""
        began = time.monotonic()
        try:
            self._publish()
        except (duckdb.Error, OSError) as error:
            self._changed.set()
            if self._stop.is_set():
                return
            known = failures.classify(error, what="the read copy failed", path=str(self._path))
            log.warning("duckdb.read_copy_failed", path=str(self._path), why=known.why, hint=known.hint)
        else:
            seconds = round(time.monotonic() - began, 3)
            log.debug("duckdb.read_copy", path=str(self._path), seconds=seconds)

    def _publish(self) -> None:
        self._clear()
        file = str(self._beside).replace("'", "''")
        source = self._database.replace('"', '""')
        self._cursor.execute(f"ATTACH '{file}' AS {ALIAS}")
        try:
            self._cursor.execute("BEGIN")  # the copy is two statements to DuckDB: tables, then rows
            try:
                self._cursor.execute(f'COPY FROM DATABASE "{source}" TO {ALIAS}')
                self._cursor.execute("COMMIT")
            except duckdb.Error:
                with contextlib.suppress(duckdb.Error):
                    self._cursor.execute("ROLLBACK")
                raise
            self._cursor.execute(f"CHECKPOINT {ALIAS}")  # all of it in the one file that is renamed
        except BaseException:
            self._detach()
            self._clear()
            raise
        self._detach()
        with self._beside.open("rb+") as written:
            os.fsync(written.fileno())
        self._beside.replace(self._path)

    def _detach(self) -> None:
        for _ in range(2):  # an interrupt of `close` may meet it
            try:
                self._cursor.execute(f"DETACH DATABASE IF EXISTS {ALIAS}")
                return
            except duckdb.InterruptException:
                continue

    def _clear(self) -> None:
        """Remove what a copy that did not end has left."""
        self._beside.unlink(missing_ok=True)
        self._beside.with_name(self._beside.name + ".wal").unlink(missing_ok=True)
