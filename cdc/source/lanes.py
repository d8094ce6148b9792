"""The side connections of a snapshot's workers, kept from chunk to chunk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from cdc.source.connect import Connection
from cdc.source.copy_out import is_plain

Lane = tuple[Connection, bool]


class Lanes:
    """Any thread may borrow. A connection that an error has left in an unknown state is closed."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[Lane] = []
        self._lent: set[Connection] = set()
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[Lane]:
        """A connection, and whether its socket carries PostgreSQL's own bytes."""
        with self._lock:
            lane = self._idle.pop() if self._idle else None
        connection, plain = lane or self._open()
        with self._lock:
            self._lent.add(connection)
        try:
            yield connection, plain
        except BaseException:
            connection.close()
            raise
        finally:
            with self._lock:
                self._lent.discard(connection)
                if self._closed:
                    connection.close()
                elif not connection.closed:
                    self._idle.append((connection, plain))

    def _open(self) -> Lane:
        connection = self._connect()
        return connection, is_plain(connection)

    def interrupt(self) -> None:
        """Have the statements end that are running."""
        with self._lock:
            lent = list(self._lent)
        for connection in lent:
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=2)

    def close(self) -> None:
        """Let go of the idle ones, and of the others as they come back. May be called twice."""
        self._closed = True
        self.rest()

    def rest(self) -> None:
        """Let go of the idle ones: there may be nothing to copy for days."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()
