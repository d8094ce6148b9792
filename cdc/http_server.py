"""The HTTP server: cheroot, with patience that ends.

A connection costs a thread only from its first byte to its answer. A client that has not sent its request, or not taken its
answer, in `CLIENT_SECONDS` is cut off; at once, when others wait for a thread; and so is the oldest when there are too many. So
neither slow nor hostile clients hold up those who ask for health, and none of them holds up the line.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from cheroot import wsgi
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter

from cdc.errors import ConfigError

log = structlog.get_logger()

LARGEST_BODY = 1 << 16
LARGEST_HEADERS = 1 << 14
CLIENT_SECONDS = 10  # that a client may take to send or to read
BUSY_SECONDS = 0.5  # … while others wait for a thread
MOST_CLIENTS = 64
THREADS = 8


class Clients:
    """The connections that there are. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Client, None] = {}

    def add(self, client: Client) -> None:
        with self._lock:
            self._open[client] = None
            idle = [each for each in self._open if not each.answering]
            crowded = idle[: max(len(self._open) - MOST_CLIENTS, 0)]
        for each in crowded:
            each.cut_off()

    def remove(self, client: Client) -> None:
        with self._lock:
            self._open.pop(client, None)

    def cut_off(self, seconds: float) -> None:
        """Those whom a thread has waited for longer than that."""
        now = time.monotonic()
        with self._lock:
            slow = [each for each in self._open if each.since and now - each.since > seconds]
        for each in slow:
            each.cut_off()


class Client(HTTPConnection):
    """One connection. `since`: when a thread began to wait for it (0: none does)."""

    def __init__(self, server: Any, sock: Any, makefile: Any) -> None:
        super().__init__(server, sock, makefile)
        self.known = False
        self.since = 0.0
        self.answering = False
        server.clients.add(self)

    def communicate(self) -> bool:
        self.since = time.monotonic()
        _served.client = self
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.since, self.answering = 0.0, False

    def cut_off(self) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def close(self) -> None:
        self.server.clients.remove(self)
        super().close()


_served = threading.local()


@contextlib.contextmanager
def answering() -> Any:
    """While the program works on the answer to this thread's client, the client is not what takes long."""
    client: Client | None = getattr(_served, "client", None)
    if client is None:
        yield
        return
    client.since, client.answering = 0.0, True
    try:
        yield
    finally:
        client.since, client.answering = time.monotonic(), False


def client_gone() -> Callable[[], bool]:
    """Whether this thread's client has closed its connection; to be asked by any thread while it is answered."""
    client: Client | None = getattr(_served, "client", None)

    def gone() -> bool:
        try:
            if client is None:
                return False
            poll = select.poll()  # not `select`, which cannot look at the thousandth file
            poll.register(client.socket, select.POLLIN)
            return bool(poll.poll(0)) and not socket.socket.recv(client.socket, 1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    return gone


class Adapter(BuiltinSSLAdapter):
    """TLS whose handshake is part of the first read: in its thread, not in the one that accepts for all."""

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class Server(wsgi.Server):
    """Serves from `serve` to `stop`."""

    ConnectionClass = Client
    expiration_interval = 0.1  # seconds that a stop may take to be noticed

    def __init__(self, address: tuple[str, int], app: Callable[..., Any], certificate: str, key: str) -> None:
        super().__init__(
            address, app, numthreads=THREADS, max=THREADS, timeout=CLIENT_SECONDS, shutdown_timeout=2
        )
        self.clients = Clients()
        self.request_queue_size = 2 * MOST_CLIENTS  # a short one makes clients of a crowd wait for seconds
        self.max_request_body_size = LARGEST_BODY
        self.max_request_header_size = LARGEST_HEADERS
        if certificate:
            try:
                self.ssl_adapter = Adapter(certificate, key or certificate)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    "the certificate cannot be used",
                    where=f"[http] tls_certificate = {certificate!r}",
                    why=getattr(error, "strerror", None) or str(error),
                    hint="a PEM file of the chain, and tls_key one of its key",
                ) from error
        self._over = threading.Event()
        self._doorman = threading.Thread(target=self._watch, name="http clients", daemon=True)

    def serve(self) -> None:
        self._doorman.start()
        super().serve()

    def stop(self) -> None:
        self._over.set()
        super().stop()

    def process_conn(self, conn: Client) -> None:
        """A new connection waits for its first byte without a thread."""
        if conn.known:
            super().process_conn(conn)
        else:
            conn.known = True
            self._connections.put(conn)  # type: ignore[attr-defined]

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """The server's own complaints, mostly of clients that went away."""
        log.debug("http.error", message=msg.strip(), level=level, exc_info=traceback)

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.clients.cut_off(BUSY_SECONDS if self.requests.qsize else CLIENT_SECONDS)
