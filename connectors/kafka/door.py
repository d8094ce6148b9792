"""The first words with one broker, spoken by ourselves: which versions, by which mechanism, who we are, who else is there.

Clients end in a time-out whatever went wrong on the way in; this tells at which step. Kafka's protocol (its guide, "Protocol
Primitive Types"): numbers big-endian, strings and byte strings behind their lengths, every message behind its own.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import NamedTuple

API_VERSIONS, METADATA, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 3, 17, 36
LONGEST = 1 << 24  # of an answer here: anything longer is not Kafka's
TLS_ALERT = 0x15


class NotKafka(Exception):
    """What came is no answer; `tls` if it looks like TLS."""

    def __init__(self, *, tls: bool) -> None:
        super().__init__("not an answer of Kafka's")
        self.tls = tls


class Hung(Exception):
    """The broker has hung up instead of answering."""


class Verdict(NamedTuple):
    """An error's number and what was told with it."""

    error: int
    told: str = ""
    data: bytes = b""


class Door:
    """One connection; `context` makes it TLS. Raises OSError (of which ssl.SSLError is one), Hung and NotKafka."""

    def __init__(
        self, host: str, port: int, timeout: float, context: ssl.SSLContext | None, name: str
    ) -> None:
        self._name = name.encode()
        self._count = 0
        self._socket: socket.socket = socket.create_connection((host, port), timeout)
        if context is not None:
            try:
                self._socket = context.wrap_socket(self._socket, server_hostname=host)
            except BaseException:
                self._socket.close()
                raise

    def close(self) -> None:
        self._socket.close()

    def greet(self) -> None:
        """Ask which versions it speaks: every broker answers that, before it knows who asks."""
        self._ask(API_VERSIONS, 0, b"")

    def propose(self, mechanism: str) -> Verdict:
        """A SASL mechanism; of another, the broker tells which it has."""
        answer = self._ask(SASL_HANDSHAKE, 1, _text(mechanism))
        (error, count), rest = struct.unpack_from(">hi", answer), answer[6:]
        offered = []
        for _ in range(count):
            offer, rest = _take_text(rest)
            offered.append(offer)
        return Verdict(error, ", ".join(offered))

    def authenticate(self, data: bytes) -> Verdict:
        """One step of the mechanism's."""
        answer = self._ask(SASL_AUTHENTICATE, 0, struct.pack(">i", len(data)) + data)
        (error,) = struct.unpack_from(">h", answer)
        told, rest = _take_text(answer[2:])
        return Verdict(error, told, rest[4:])

    def brokers(self) -> list[tuple[str, int]]:
        """Where the cluster says that its brokers are."""
        answer = self._ask(METADATA, 1, struct.pack(">i", 0))
        (count,), rest = struct.unpack_from(">i", answer), answer[4:]
        found = []
        for _ in range(count):
            host, rest = _take_text(rest[4:])
            (port,) = struct.unpack_from(">i", rest)
            _, rest = _take_text(rest[4:])
            found.append((host, port))
        return found

    def _ask(self, api: int, version: int, body: bytes) -> bytes:
        self._count += 1
        head = struct.pack(">hhih", api, version, self._count, len(self._name)) + self._name
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        start = self._read(4)
        (length,) = struct.unpack(">i", start)
        if start[0] == TLS_ALERT or not 4 <= length <= LONGEST:
            raise NotKafka(tls=start[0] == TLS_ALERT)
        return self._read(length)[4:]

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = self._socket.recv(count - len(found))
            if not more:
                raise Hung
            found += more
        return found


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


def _take_text(data: bytes) -> tuple[str, bytes]:
    (length,) = struct.unpack_from(">h", data)
    return data[2 : 2 + max(length, 0)].decode(), data[2 + max(length, 0) :]
