"""A TCP proxy that misbehaves on command: it cuts, stalls and slows down what passes between a client and a
server.

    with FaultyProxy("127.0.0.1", 5432) as proxy:
        connect(port=proxy.port)
        proxy.stall()      # bytes wait on both sides, sockets stay open: a network that drops packets
        proxy.flow()
        proxy.cut()        # every connection is reset; new ones are accepted
        proxy.refuse()     # and now they are not

Every command holds for the connections of now and those to come, until the next command.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

CHUNK = 16 << 10
TO_SERVER, TO_CLIENT = "to_server", "to_client"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is not delivered yet is thrown away


class FaultyProxy:
    """Listens on a free port of 127.0.0.1 and passes bytes to `host:port`; one thread per direction."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        """How many were accepted so far."""
        self.passed = {TO_SERVER: 0, TO_CLIENT: 0}
        """Bytes passed on so far, all connections together."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._flowing = {TO_SERVER: threading.Event(), TO_CLIENT: threading.Event()}
        self._dropping: set[str] = set()
        self._rate: float | None = None
        self._refusing = self._closed = False
        self._cut_after: int | None = None
        self.flow()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.flow()

    def flow(self) -> None:
        """Pass everything on again, at full speed; accept connections."""
        self._dropping.clear()
        self._rate = None
        self._refusing = False
        self.resume()

    def resume(self) -> None:
        """End a stall, and no other trouble."""
        for direction in self._flowing.values():
            direction.set()

    def stall(self, *directions: str) -> None:
        """Let bytes wait, in both directions unless one is named: the sender's buffers fill up."""
        for direction in directions or self._flowing:
            self._flowing[direction].clear()

    def drop(self, *directions: str) -> None:
        """Swallow bytes, as if they were sent and never arrived; by default what the server answers."""
        self._dropping.update(directions or (TO_CLIENT,))

    def throttle(self, bytes_per_second: float) -> None:
        """Pass no more than this in each direction of each connection."""
        self._rate = bytes_per_second

    def refuse(self) -> None:
        """Reset every connection, and new ones as soon as they are made."""
        self._refusing = True
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def cut_after(self, size: int) -> None:
        """Reset every connection once `size` more bytes have gone to the client."""
        self._cut_after = self.passed[TO_CLIENT] + size

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._refusing:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            for source, sink, direction in ((client, server, TO_SERVER), (server, client, TO_CLIENT)):
                threading.Thread(target=self._pass_on, args=(source, sink, direction), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        flowing = self._flowing[direction]
        with contextlib.suppress(OSError):
            while flowing.wait() and (data := source.recv(CHUNK)):
                flowing.wait()
                if direction in self._dropping:
                    continue
                sink.sendall(data)
                self.passed[direction] += len(data)
                if self._rate:
                    time.sleep(len(data) / self._rate)
                if self._cut_after is not None and self.passed[TO_CLIENT] >= self._cut_after:
                    self._cut_after = None
                    self.cut()
        with self._lock:
            known = {source, sink} & self._open
            self._open -= known
        for each in (source, sink):  # an end in one direction ends the connection
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
