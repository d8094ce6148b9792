"""The daemon's HTTP answers: health, status, lag, metrics, the page at /, verify for whoever cannot open the target
meanwhile, and a few actions.

No answer holds a secret or a row. With a token, everything but health and the page's own files asks for it; without one
nothing here changes anything, and only names of this machine are answered to, so that no web page elsewhere can ask.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from cdc import metrics, page
from cdc.ask import SnapshotAnswer, error_body
from cdc.config import HttpSettings
from cdc.copy_request import CopyRequest
from cdc.errors import EXIT_TRY_AGAIN, CdcError, ConfigError
from cdc.http_server import answering
from cdc.status import Sample, Status, lag_of

log = structlog.get_logger()

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
FREE = {
    "/healthz",
    "/readyz",
}  # of the token: probes have none. So are the page's files: it asks a person for it
HEADERS = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", page.POLICY),
]
LOCAL = {"localhost", "127.0.0.1", "::1"}

Answer = tuple[str, str, bytes]  # status line, content type, body
Environ = Mapping[str, Any]
FORBIDDEN = "403 Forbidden"
NO_TOKEN = b"set [http] token: without one nothing can be changed over HTTP\n"
T = TypeVar("T")


class Asked(Protocol):
    """What is asked: the daemon. May be called by several threads at a time."""

    @property
    def registry(self) -> CollectorRegistry:
        """What is counted while it runs."""

    @property
    def actions(self) -> Mapping[str, Callable[[list[str]], str]]:
        """What it can be told to do, by name: with tables, to what is said of it."""

    def status(self) -> Status: ...
    def history(self) -> list[Sample]: ...
    def stalled(self, seconds: float) -> str: ...
    def verify(self, tables: list[str]) -> msgspec.Struct: ...
    def snapshot(self, request: CopyRequest) -> list[str]: ...


class TablesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a POST; no tables: all of them, or none in particular."""

    tables: list[str] = []


class App:
    """The WSGI application."""

    def __init__(self, asked: Asked, settings: HttpSettings) -> None:
        self._asked = asked
        self._settings = settings
        self._metrics = metrics.exposition(asked.status, asked.registry)
        self._verifying = threading.Lock()
        self._routes: dict[str, dict[str, Callable[[Environ], Answer]]] = {
            "/healthz": {"GET": self._healthz},
            "/readyz": {"GET": self._readyz},
            "/status": {"GET": self._status},
            "/lag": {"GET": self._lag},
            "/metrics": {"GET": self._expose},
            "/history": {"GET": self._history},
            "/verify": {"POST": self._verify},
            "/snapshot": {"POST": self._snapshot},
            **{f"/{name}": {"POST": self._act} for name in asked.actions},
        }

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with answering():
            status, content_type, body = self._answer(environ)
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *HEADERS]
        if status.startswith("401"):
            headers.append(("WWW-Authenticate", "Bearer"))
        start_response(status, headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: Environ) -> Answer:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method in ("GET", "HEAD") and (found := page.asset(path)):
            return "200 OK", *found
        if refused := self._refusal(environ, path):
            return refused
        methods = self._routes.get(path)
        if methods is None:
            return "404 Not Found", TEXT, "\n".join(self._routes).encode() + b"\n"
        handle = methods.get("GET" if method == "HEAD" else method)
        if handle is None:
            return "405 Method Not Allowed", TEXT, f"only {', '.join(methods)}\n".encode()
        try:
            return handle(environ)
        except _Refused as error:
            answer: Answer = error.args[0]
            return answer
        except CdcError as error:
            again = error.exit_code == EXIT_TRY_AGAIN
            return (
                "503 Service Unavailable" if again else "500 Internal Server Error",
                JSON,
                error_body(error),
            )
        except Exception:
            log.exception("http.bug", path=path)
            return "500 Internal Server Error", TEXT, b"a bug: see the daemon's log\n"

    def _refusal(self, environ: Environ, path: str) -> Answer | None:
        token = self._settings.token
        if token and path not in FREE:
            given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                return "401 Unauthorized", TEXT, b"send the token of [http]: Authorization: Bearer ...\n"
        if not token and not self._settings.open and _host(environ) not in LOCAL:
            return FORBIDDEN, TEXT, b"without a token, only localhost is answered to\n"
        return None

    def _healthz(self, _: Environ) -> Answer:
        """Alive, and its loops go round: a supervisor restarts us if this fails."""
        state = self._asked.status().state
        if state == "failed":
            return "503 Service Unavailable", TEXT, b"failed\n"
        if stalled := self._asked.stalled(self._settings.stalled_seconds):
            return "503 Service Unavailable", TEXT, f"stalled: {stalled}\n".encode()
        return "200 OK", TEXT, f"{state}\n".encode()

    def _readyz(self, _: Environ) -> Answer:
        """Streaming, and not too far behind. What is wrong is told to those who have the token."""
        status, limit = self._asked.status(), self._settings.ready_seconds
        if status.state != "streaming":
            error = "" if self._settings.token else status.error
            return "503 Service Unavailable", TEXT, f"{status.state} {error}".strip().encode() + b"\n"
        late = [each.name for each in status.warehouses if limit and (each.behind_seconds or 0) > limit]
        if late:
            said = f"behind by more than {limit:.0f} seconds: {', '.join(late)}\n"
            return "503 Service Unavailable", TEXT, said.encode()
        return "200 OK", TEXT, b"streaming\n"

    def _status(self, _: Environ) -> Answer:
        return "200 OK", JSON, msgspec.json.encode(self._asked.status())

    def _lag(self, _: Environ) -> Answer:
        return "200 OK", JSON, msgspec.json.encode(lag_of(self._asked.status()))

    def _expose(self, _: Environ) -> Answer:
        return "200 OK", metrics.CONTENT_TYPE, self._metrics()

    def _history(self, _: Environ) -> Answer:
        """The last hour, for plots."""
        return "200 OK", JSON, msgspec.json.encode({"samples": self._asked.history()})

    def _verify(self, environ: Environ) -> Answer:
        request = _body(environ, TablesRequest)
        if not self._verifying.acquire(blocking=False):
            return "409 Conflict", TEXT, b"another verify is running\n"
        try:
            return "200 OK", JSON, msgspec.json.encode(self._asked.verify(request.tables))
        finally:
            self._verifying.release()

    def _snapshot(self, environ: Environ) -> Answer:
        """For `cdc snapshot` and `cdc resync` on this machine, and for whoever has the token."""
        if self._settings.open and not self._settings.token:
            raise _Refused((FORBIDDEN, TEXT, NO_TOKEN))
        request = _body(environ, CopyRequest)
        if request.where and not self._settings.token:
            raise ConfigError(
                "a condition is taken over HTTP only with a token",
                why="it is SQL, which the daemon's role would run for anybody on this machine",
                hint="set [http] token, or write it into [snapshot] where",
            )
        tables = self._asked.snapshot(request)
        return "200 OK", JSON, msgspec.json.encode(SnapshotAnswer(tables))

    def _act(self, environ: Environ) -> Answer:
        if not self._settings.token:
            raise _Refused((FORBIDDEN, TEXT, NO_TOKEN))
        tables = _body(environ, TablesRequest).tables
        name = environ["PATH_INFO"][1:]
        said = self._asked.actions[name](tables)
        log.info("http.action", action=name, tables=tables, client=environ.get("REMOTE_ADDR"))
        return "200 OK", JSON, msgspec.json.encode({"said": said})


class _Refused(Exception):
    """A request that is not understood, or not allowed; its argument is the answer."""


def _body(environ: Environ, kind: type[T]) -> T:
    """The body. The content type is one that no foreign web page can send unasked."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != JSON:
        raise _Refused(("415 Unsupported Media Type", TEXT, f"send {JSON}\n".encode()))
    if not environ.get("CONTENT_LENGTH", "0").isdecimal():  # the server would read on without an end
        raise _Refused(("400 Bad Request", TEXT, b"Content-Length is no number\n"))
    try:
        return msgspec.json.decode(environ["wsgi.input"].read() or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise _Refused(("400 Bad Request", TEXT, f"{error}\n".encode())) from error


def _host(environ: Environ) -> str:
    """The name that was asked for: a foreign page that had its name resolve to this machine sends that."""
    host = str(environ.get("HTTP_HOST", "localhost"))
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host if host.count(":") == 1 else host
