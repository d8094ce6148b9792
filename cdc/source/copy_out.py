"""COPY … TO STDOUT in pieces of many rows.

libpq hands over a COPY row by row, which in Python costs more than everything else that is done to a copied row. So where the
connection is neither TLS nor GSSAPI, the statement is sent and its answer read on libpq's own socket, between two of its
commands: the protocol is the one of PostgreSQL's documentation ("Message Flow", simple query), and when the server is ready
for the next query, libpq goes on as if nothing had happened. If it is not read to the end, the connection is closed.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Generator
from contextlib import closing

import psycopg
from psycopg import sql

from cdc.errors import Stopped
from cdc.source.connect import Connection
from cdc.source.copy_frames import HEADER, fields, take_rows, wanted

AT_ONCE = 1 << 20  # bytes read from the socket at a time
FEW, GATHER = 1 << 16, 0.002  # bytes that are not worth a look, and seconds in which more gather
LOOK = 200  # milliseconds between two looks whether to stop

Piece = tuple[bytes, int]


def is_plain(connection: Connection) -> bool:
    """Are the bytes on the socket PostgreSQL's own?"""
    if connection.pgconn.ssl_in_use:
        return False
    query = "select encrypted from pg_stat_gssapi where pid = pg_backend_pid()"
    row = connection.execute(query).fetchone()
    return not (row and row[0])


def copy_out(
    connection: Connection,
    statement: sql.Composed,
    piece_bytes: int,
    *,
    plain: bool,
    stopping: Callable[[], bool] = lambda: False,
) -> Generator[Piece]:
    """The rows in pieces of about `piece_bytes`, each with their number. Raises psycopg.Error, and Stopped."""
    read = _on_the_socket if plain else _by_libpq
    parts: list[bytes] = []
    rows = size = 0
    with closing(read(connection, statement)) as portions:
        for text, count in portions:
            if stopping():
                raise Stopped("the copy was interrupted")
            parts.append(text)
            rows += count
            size += len(text)
            if size >= piece_bytes:
                yield b"".join(parts), rows
                parts, rows, size = [], 0, 0
    if rows:
        yield b"".join(parts), rows


def _by_libpq(connection: Connection, statement: sql.Composed) -> Generator[Piece]:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        read = copy.read
        while data := read():
            yield bytes(data), 1


def _on_the_socket(connection: Connection, statement: sql.Composed) -> Generator[Piece]:
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as sock:
        sock.setblocking(False)
        query = statement.as_string(connection).encode() + b"\0"
        messages = _Messages(sock)
        messages.send(b"Q" + struct.pack(">I", len(query) + 4) + query)
        failed: psycopg.Error | None = None
        try:
            kind = b""
            while kind != b"Z":
                yield messages.rows()
                kind, body = messages.other()
                if kind == b"E":
                    failed = _error(fields(body))
        except BaseException:
            connection.close()  # libpq would not know what the rest of the answer is
            raise
        if failed is not None:
            raise failed


def _error(told: dict[str, str]) -> psycopg.Error:
    kind = psycopg.Error
    with contextlib.suppress(KeyError):
        kind = psycopg.errors.lookup(told.get("C", ""))
    return kind(told.get("M", ""))


class _Messages:
    """What the server sends, read in large portions."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._seen = 0
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def send(self, message: bytes) -> None:
        writable = select.poll()
        writable.register(self._sock, select.POLLOUT)
        while message:
            try:
                message = message[self._sock.send(message) :]
            except BlockingIOError:
                writable.poll()

    def rows(self) -> Piece:
        """Whole rows that have arrived, at least one unless another message is next; and nothing after a while of silence."""
        while True:
            text, count, taken = take_rows(bytes(self._data))
            if count:
                del self._data[:taken]
                return text, count
            if len(self._data) >= HEADER.size and self._data[:1] != b"d":
                return b"", 0
            if not self._fill(wanted(self._data)):
                return b"", 0

    def other(self) -> tuple[bytes, bytes]:
        """The next message, if it is no row and has arrived whole; else an empty one."""
        size = wanted(self._data)
        if len(self._data) < HEADER.size or self._data[:1] == b"d":
            return b"", b""
        while len(self._data) < size:
            self._fill(size)
        kind, body = bytes(self._data[:1]), bytes(self._data[HEADER.size : size])
        del self._data[:size]
        return kind, body

    def _fill(self, size: int) -> bool:
        """Wait until so many bytes are there, and take what has come beyond, up to a limit; False: it takes long."""
        while len(self._data) < size:
            if not self._poll.poll(LOOK):
                return False
            try:
                data = self._sock.recv(max(AT_ONCE, size - len(self._data)))
            except BlockingIOError:
                continue
            except OSError as error:
                raise psycopg.OperationalError(f"connection lost: {error}") from error
            if not data:
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            self._data += data
            self._seen += len(data)
            if len(data) < FEW <= self._seen:
                # The server sends 8 kB at a time: to wake up for each would be half of the work.
                time.sleep(GATHER)
        return True
