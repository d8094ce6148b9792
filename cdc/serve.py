"""The daemon's HTTP answers: health, status, lag, metrics, and verify for whoever cannot open the target
meanwhile.

Nothing here changes anything, and no answer holds a secret or a row. A request is bounded in size and a
client in patience, so neither a slow nor a broken one holds up the line, which runs in other threads.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec
import structlog
from cheroot import wsgi
from prometheus_client import CollectorRegistry

from cdc import metrics, page
from cdc.ask import SnapshotAnswer, error_body, parse_address
from cdc.copy_request import CopyRequest
from cdc.errors import EXIT_TRY_AGAIN, CdcError
from cdc.status import Sample, Status, lag_of

log = structlog.get_logger()

LARGEST_BODY = 1 << 16
LARGEST_HEADERS = 1 << 14
CLIENT_SECONDS = 10  # that a client may take to send or to read
JSON, TEXT = "application/json", "text/plain; charset=utf-8"

Answer = tuple[str, str, bytes]  # status line, content type, body
Environ = Mapping[str, Any]
T = TypeVar("T")


class Asked(Protocol):
    """What is asked: the daemon. May be called by several threads at a time."""

    @property
    def registry(self) -> CollectorRegistry:
        """What is counted while it runs."""

    def status(self) -> Status: ...
    def history(self) -> list[Sample]: ...
    def verify(self, tables: list[str]) -> msgspec.Struct: ...
    def snapshot(self, request: CopyRequest) -> list[str]: ...


class VerifyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /verify; no tables: all of them."""

    tables: list[str] = []


class HttpServer:
    """Answers from entering to leaving the context. An empty `listen` answers nowhere."""

    def __init__(self, listen: str, asked: Asked) -> None:
        self.listen = listen
        self._app = App(asked)
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """`host:port` in fact, if the port was left to the system."""
        if self._server is None:
            return ""
        host, port = self._server.bind_addr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __enter__(self) -> Self:
        if not self.listen:
            return self
        address = parse_address(self.listen)
        server: Any = wsgi.Server(
            address, self._app, numthreads=4, max=8, timeout=CLIENT_SECONDS, shutdown_timeout=2
        )
        server.max_request_body_size = LARGEST_BODY
        server.max_request_header_size = LARGEST_HEADERS
        server.error_log = _log_error
        try:
            _try_address(*address)
            server.prepare()
        except OSError as error:
            raise CdcError(
                "the HTTP address cannot be used",
                where=f"[http] listen = {self.listen!r}",
                why=error.strerror or str(error),
                hint="is another cdc running? Set [http] listen (CDC_HTTP__LISTEN) to another, '' for none",
            ) from error
        self._server = server
        self._thread = threading.Thread(target=server.serve, name="http", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join(5)
            self._server = self._thread = None


class App:
    """The WSGI application."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._metrics = metrics.exposition(asked.status, asked.registry)
        self._verifying = threading.Lock()
        self._routes: dict[str, dict[str, Callable[[Environ], Answer]]] = {
            "/healthz": {"GET": self._healthz},
            "/readyz": {"GET": self._readyz},
            "/status": {"GET": self._status},
            "/lag": {"GET": self._lag},
            "/history": {"GET": self._history},
            "/metrics": {"GET": self._expose},
            "/verify": {"POST": self._verify},
            "/snapshot": {"POST": self._snapshot},
        }

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, content_type, body = self._answer(environ)
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", page.POLICY),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(status, headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: Environ) -> Answer:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD") and (found := page.asset(environ["PATH_INFO"])):
            return "200 OK", *found
        methods = self._routes.get(environ["PATH_INFO"])
        if methods is None:
            return "404 Not Found", TEXT, "\n".join(self._routes).encode() + b"\n"
        method = environ["REQUEST_METHOD"]
        handle = methods.get("GET" if method == "HEAD" else method)
        if handle is None:
            return "405 Method Not Allowed", TEXT, f"only {', '.join(methods)}\n".encode()
        try:
            return handle(environ)
        except _Refused as refused:
            answer: Answer = refused.args[0]
            return answer
        except CdcError as error:
            status = (
                "503 Service Unavailable"
                if error.exit_code == EXIT_TRY_AGAIN
                else "500 Internal Server Error"
            )
            return status, JSON, error_body(error)
        except Exception:
            log.exception("http.bug", path=environ["PATH_INFO"])
            return "500 Internal Server Error", TEXT, b"a bug: see the daemon's log\n"

    def _healthz(self, _: Environ) -> Answer:
        """Alive: a supervisor restarts us if this fails."""
        state = self._asked.status().state
        status = "503 Service Unavailable" if state == "failed" else "200 OK"
        return status, TEXT, f"{state}\n".encode()

    def _readyz(self, _: Environ) -> Answer:
        """Streaming: changes are on their way."""
        status = self._asked.status()
        if status.state == "streaming":
            return "200 OK", TEXT, b"streaming\n"
        return "503 Service Unavailable", TEXT, f"{status.state} {status.error}".strip().encode() + b"\n"

    def _status(self, _: Environ) -> Answer:
        return "200 OK", JSON, msgspec.json.encode(self._asked.status())

    def _lag(self, _: Environ) -> Answer:
        return "200 OK", JSON, msgspec.json.encode(lag_of(self._asked.status()))

    def _history(self, _: Environ) -> Answer:
        """The last hour, for plots."""
        return "200 OK", JSON, msgspec.json.encode({"samples": self._asked.history()})

    def _expose(self, _: Environ) -> Answer:
        return "200 OK", metrics.CONTENT_TYPE, self._metrics()

    def _verify(self, environ: Environ) -> Answer:
        request = _body(environ, VerifyRequest)
        if not self._verifying.acquire(blocking=False):
            return "409 Conflict", TEXT, b"another verify is running\n"
        try:
            return "200 OK", JSON, msgspec.json.encode(self._asked.verify(request.tables))
        finally:
            self._verifying.release()

    def _snapshot(self, environ: Environ) -> Answer:
        tables = self._asked.snapshot(_body(environ, CopyRequest))
        return "200 OK", JSON, msgspec.json.encode(SnapshotAnswer(tables))


class _Refused(Exception):
    """A request that is not understood; its argument is the answer."""


def _body(environ: Environ, kind: type[T]) -> T:
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != JSON:  # which no foreign web page can send
        raise _Refused(("415 Unsupported Media Type", TEXT, f"send {JSON}\n".encode()))
    try:
        return msgspec.json.decode(environ["wsgi.input"].read() or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise _Refused(("400 Bad Request", TEXT, f"{error}\n".encode())) from error


def _try_address(host: str, port: int) -> None:
    """Raise as binding does: cheroot, when it fails, leaves its socket open and its reason in a string."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _log_error(msg: str = "", level: int = 20, traceback: bool = False) -> None:
    """The server's own complaints, mostly of clients that went away."""
    log.warning("http.error", message=msg.strip(), level=level, exc_info=traceback)
