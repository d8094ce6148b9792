"""The source as of exactly one LSN: a transaction that sees what commits below it, and nothing else.

Only the making of a replication slot gives both at once, so a temporary one is made, its snapshot taken over by an
ordinary connection, and it is gone again at once. Making it waits for the transactions that are running; whoever
holds it up is named.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psycopg
from psycopg import pq, sql

from cdc.config import SourceSettings
from cdc.errors import SourceError, SourceUnavailable
from cdc.lsn import Lsn, parse_lsn
from cdc.source.assemble import HEARTBEAT
from cdc.source.connect import Connection, connect, connect_replication, where
from cdc.source.failures import explain, explained

TOLD_EVERY = 5.0  # seconds
WHAT = "cannot take a snapshot of the source"
Waiting = Callable[[str], None]


class Moment:
    """Takes a moment and holds it: from then on `connection` is in a read-only transaction that sees exactly what commits
    below `lsn`. `waiting` is told, now and then, of transactions that hold it up."""

    def __init__(self, settings: SourceSettings, waiting: Waiting = lambda _: None) -> None:
        self._settings = settings
        self._waiting = waiting
        self.connection = connect(settings, autocommit=False)
        self.lsn: Lsn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def await_old_transactions(self, timeout: float) -> None:
        """Return when whoever was writing at the call has ended: the moment is then soon taken. Raises Busy."""
        with connect_replication(self._settings) as walsender:
            _export(self._settings, walsender, self.connection, timeout, self._waiting)

    def take(self, timeout: float) -> Lsn:
        """Take the moment. Raises Busy if running transactions outlast `timeout` seconds."""
        with connect_replication(self._settings) as walsender:
            lsn, snapshot = _export(self._settings, walsender, self.connection, timeout, self._waiting)
            with explained(WHAT, where=where(self._settings)):
                self.connection.execute("set transaction isolation level repeatable read, read only")
                self.connection.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
            # Behind the moment there may be no commit for long, and then the stream would not hear that it is reached.
            # On a standby this fails, and keepalives have to do.
            walsender.pgconn.exec_(f"SELECT pg_logical_emit_message(false, '{HEARTBEAT}', '')".encode())
        self.lsn = lsn
        return lsn


class Busy(SourceUnavailable):
    """Transactions of others last longer than we wait."""


def _export(
    settings: SourceSettings, walsender: Connection, side: Connection, timeout: float, waiting: Waiting
) -> tuple[Lsn, str]:
    """Make the temporary slot: the LSN at which it is consistent, and the name of its snapshot."""
    name = f"cdc_verify_{os.getpid()}_{secrets.token_hex(4)}"
    exporting = "(SNAPSHOT 'export')" if walsender.info.server_version >= 150000 else "EXPORT_SNAPSHOT"
    # Not pgoutput whatever the line uses: some servers load only plugins that they are told of.
    command = f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL {settings.plugin} {exporting}"  # keywords in capitals only
    walsender.pgconn.send_query(command.encode())
    result = _result(settings, walsender, side, timeout, waiting)
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise _refused(settings, psycopg.errors.error_from_result(result))
    _, lsn, snapshot, _ = [(result.get_value(0, column) or b"").decode() for column in range(4)]
    return parse_lsn(lsn), snapshot


def _result(
    settings: SourceSettings, walsender: Connection, side: Connection, timeout: float, waiting: Waiting
) -> pq.abc.PGresult:
    """Wait for the command's result, and say who holds it up."""
    begun = time.monotonic()
    told = begun + TOLD_EVERY
    holders = ""
    while True:
        with explained(WHAT, where=where(settings)):
            walsender.pgconn.consume_input()
        if not walsender.pgconn.is_busy():
            result = walsender.pgconn.get_result()
            if result is None:
                raise SourceUnavailable(WHAT, why="the connection broke off", where=where(settings))
            while walsender.pgconn.get_result():
                pass
            return result
        now = time.monotonic()
        if now >= min(told, begun + timeout):
            holders = _holders(side, walsender.info.backend_pid) or holders
            waiting(holders)
            told = now + TOLD_EVERY
        if now - begun >= timeout:
            raise Busy(
                f"no snapshot of the source within {timeout:.0f} s",
                why=f"it waits for {holders or 'running transactions'}",
                hint="end that transaction (`select pg_terminate_backend(PID)`), or try again when it is over",
                where=where(settings),
            )
        select.select([walsender.pgconn.socket], [], [], max(min(told, begun + timeout) - now, 0))


def _holders(side: Connection, pid: int) -> str:
    query = """
        select pid, coalesce(nullif(application_name, ''), usename, backend_type),
               extract(epoch from clock_timestamp() - xact_start)::int
        from pg_stat_activity where pid = any(pg_blocking_pids(%s))"""
    with contextlib.suppress(psycopg.Error):
        rows = side.execute(query, [pid]).fetchall()
        side.rollback()
        return ", ".join(f"process {pid} ({name}), in a transaction for {age} s" for pid, name, age in rows)
    return ""


def _refused(settings: SourceSettings, error: psycopg.Error) -> SourceError:
    told = explain(error, WHAT, where=where(settings))
    hint = told.hint
    if error.sqlstate == "53400":
        hint = "drop a replication slot that nobody uses (pg_replication_slots), or raise max_replication_slots by 1"
    return type(told)(WHAT, why=told.why, hint=hint, where=where(settings))
