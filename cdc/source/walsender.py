"""One replication connection: bytes of the stream in, feedback out.

The reader takes what has arrived in bursts; a thread of its own tells the server how far everything is
durable, so a reader that is stuck for minutes (a slow flush, a full transport) never outlasts
wal_sender_timeout. libpq's connection is shared by the two under a lock that is held for microseconds and
never while waiting. What waits, waits in poll(), and `wake` ends it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Mapping

import psycopg
import structlog
from psycopg.pq import ExecStatus

from cdc.config import SourceSettings
from cdc.errors import SourceError, SourceUnavailable
from cdc.lsn import Lsn, format_lsn
from cdc.source import connect
from cdc.source.failures import explain_stream, missing_publication
from cdc.source.frames import status_update
from cdc.source.slot import in_use, read_slot

log = structlog.get_logger()

FEEDBACK_GAP = 0.1  # seconds between two feedback messages, however often something is confirmed
DRAIN_SECONDS = 2.0  # how long a close waits for the server's answer
NO_PUBLICATION = "skipped loading publication"


class Walsender:
    """Streams from a slot as soon as it is made. `receive` is called by one thread, the rest by any.

    Raises SourceUnavailable when the connection is lost or the slot in use, SlotLost when the slot cannot be
    read any more, and SourceError for what trying again does not help.
    """

    def __init__(self, settings: SourceSettings, options: Mapping[str, str], start: Lsn = 0) -> None:
        self._settings = settings
        self._where = connect.where(settings)
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._confirmed: Lsn = 0
        self._failure: BaseException | None = None
        self._over = False
        self._connection = connect.connect_replication(settings)
        self._connection.add_notice_handler(self._notice)
        self._pgconn = self._connection.pgconn
        # A TLS record may be larger than what libpq takes at once, and poll() does not see the rest of it.
        self._takes = 2 if self._pgconn.ssl_in_use else 1
        try:
            self._interval = self._choose_interval()
            self._start(options, start)
        except BaseException:
            self._connection.close()
            raise
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._poll.register(self._wake_out, select.POLLIN)
        self._feedback = threading.Thread(target=self._give_feedback, name="feedback", daemon=True)
        self._feedback.start()

    @property
    def confirmed(self) -> Lsn:
        """The highest LSN that `confirm` was given."""
        return self._confirmed

    def receive(self) -> list[memoryview]:
        """What has arrived, in order, without waiting for more."""
        if self._over:
            raise self._failure or self._end()
        get = self._pgconn.get_copy_data
        burst: list[memoryview] = []
        try:
            with self._lock:
                for _ in range(self._takes):
                    self._pgconn.consume_input()
                    while (taken := get(1))[0] > 0:
                        burst.append(taken[1])
                    self._over = taken[0] < 0
                    if burst or self._over:
                        break
        except psycopg.Error as error:
            raise self._explain(error) from error
        if self._failure is not None:  # a notice among these messages: what follows it must not be confirmed
            raise self._failure
        return burst

    def wait(self, timeout: float) -> None:
        """Return when something has arrived, `wake` was called or `timeout` seconds are over."""
        for descriptor, _ in self._poll.poll(timeout * 1000):
            if descriptor == self._wake_out.fileno():
                self._wake_out.recv(4096)

    def confirm(self, lsn: Lsn) -> None:
        """All up to `lsn` is durable downstream: the server is told so soon. Never goes backward."""
        if lsn > self._confirmed:
            self._confirmed = lsn
            self._changed.set()

    def reply(self) -> None:
        """Give feedback now: the server asks whether we are there."""
        self._changed.set()

    def wake(self) -> None:
        """End the wait of `receive`, or the next one."""
        with contextlib.suppress(OSError):  # full: it will wake anyhow; closed: nobody sleeps
            self._wake_in.send(b"\0")

    def close(self) -> None:
        """Tell the server what is confirmed, end the stream and let go of the slot. May be called twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._changed.set()
        self._feedback.join()
        try:
            self._say_goodbye()
        except psycopg.Error as error:
            log.debug("walsender_lost_at_close", error=str(error))
        self._connection.close()
        self._wake_in.close()
        self._wake_out.close()

    def _choose_interval(self) -> float:
        """Often enough for the server's patience, whatever the setting says."""
        patience = self._pgconn.exec_(
            b"select setting from pg_settings where name = 'wal_sender_timeout'"
        ).get_value(0, 0)
        seconds = int(patience or 0) / 1000
        return min(self._settings.status_interval, seconds / 4) if seconds else self._settings.status_interval

    def _start(self, options: Mapping[str, str], start: Lsn) -> None:
        given = ", ".join(f'"{name}" {_literal(value)}' for name, value in options.items())
        slot = self._settings.slot.replace('"', '""')
        command = f'START_REPLICATION SLOT "{slot}" LOGICAL {format_lsn(start)} ({given})'
        result = self._pgconn.exec_(command.encode())
        if result.status != ExecStatus.COPY_BOTH:
            raise self._explain(psycopg.errors.error_from_result(result))

    def _end(self) -> SourceError:
        """Why the server ended the stream."""
        with self._lock:
            result = self._pgconn.get_result()
        if result is not None and result.status == ExecStatus.FATAL_ERROR:
            return self._explain(psycopg.errors.error_from_result(result))
        return SourceUnavailable("the server ended the stream", why="it is shutting down", where=self._where)

    def _explain(self, error: psycopg.Error) -> SourceError:
        self._over = True
        if isinstance(error, psycopg.errors.ObjectInUse):
            with contextlib.suppress(SourceError, psycopg.Error), connect.connect(self._settings) as side:
                if (slot := read_slot(side, self._settings.slot)) and slot.active_pid:
                    return in_use(slot, self._where)
        return explain_stream(error, self._settings, where=self._where)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """PostgreSQL 18 goes on without a publication that it cannot find, and warns: for us, an error."""
        text = diagnostic.message_primary or ""
        if NO_PUBLICATION in text:
            self._failure = missing_publication(self._settings, why=text, where=self._where)
        else:
            log.info("server_notice", severity=diagnostic.severity, message=text)

    def _give_feedback(self) -> None:
        """The thread: feedback every interval, and soon after something was confirmed or asked."""
        try:
            while not self._closing.is_set():
                self._changed.wait(self._interval)
                self._changed.clear()
                self._send_status()
                self._closing.wait(FEEDBACK_GAP)
        except psycopg.Error as error:  # the stream is over: `receive` meets the reason itself
            log.debug("feedback_ended", error=str(error))

    def _send_status(self) -> None:
        with self._lock:
            self._put_status()
            unsent = self._pgconn.flush()
        writable = select.poll()
        writable.register(self._pgconn.socket, select.POLLOUT)
        while unsent and not self._closing.is_set():
            writable.poll(100)
            with self._lock:
                unsent = self._pgconn.flush()

    def _put_status(self) -> None:
        self._pgconn.put_copy_data(status_update(self._confirmed, time.time()))

    def _say_goodbye(self) -> None:
        """Feedback and CopyDone, and wait for the answer: closing over unread bytes would take them back."""
        if self._over or self._failure is not None:
            return
        pgconn = self._pgconn
        self._put_status()
        pgconn.put_copy_end()
        ready = select.poll()
        deadline = time.monotonic() + DRAIN_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            ready.register(pgconn.socket, select.POLLIN | (select.POLLOUT if pgconn.flush() else 0))
            length, _ = pgconn.get_copy_data(1)
            if length < 0:
                return
            if length == 0:
                ready.poll(left * 1000)
                pgconn.consume_input()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
