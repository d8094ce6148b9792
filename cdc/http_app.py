"""The daemon's HTTP answers: health, status, lag, metrics, the page at /, verify and SQL for whoever cannot open the target
meanwhile, and a few actions. Who may ask is in `http_door.py`.

No answer holds a secret, and none but that to SQL a row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from cdc import metrics, page
from cdc.ask import SnapshotAnswer, error_body
from cdc.config import HttpSettings
from cdc.copy_request import CopyRequest
from cdc.errors import EXIT_TRY_AGAIN, EXIT_USAGE, CdcError, ConfigError
from cdc.http_door import (
    FORBIDDEN,
    HEADERS,
    JSON,
    LINES,
    NO_TOKEN,
    TEXT,
    Answer,
    Environ,
    Refused,
    body,
    only_here_or_with_token,
    refusal,
)
from cdc.http_server import answering, client_gone
from cdc.query import Gone, Lines, QueryRequest
from cdc.status import Sample, Status, lag_of

log = structlog.get_logger()

STATUS = {EXIT_TRY_AGAIN: "503 Service Unavailable", EXIT_USAGE: "400 Bad Request"}  # of errors by exit code


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
    def query(self, request: QueryRequest, gone: Gone) -> Lines: ...


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
            "/sql": {"POST": self._sql},
            **{f"/{name}": {"POST": self._act} for name in asked.actions},
        }

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with answering():
            status, content_type, answer = self._answer(environ)
        headers = [("Content-Type", content_type), *HEADERS]
        if status.startswith("401"):
            headers.append(("WWW-Authenticate", "Bearer"))
        if not isinstance(answer, bytes):  # without a length: the server sends it in chunks
            start_response(status, headers)
            return Pieces(answer)
        start_response(status, [*headers, ("Content-Length", str(len(answer)))])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer]

    def _answer(self, environ: Environ) -> Answer:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method in ("GET", "HEAD") and (found := page.asset(path)):
            return "200 OK", *found
        if refused := refusal(self._settings, environ):
            return refused
        methods = self._routes.get(path)
        if methods is None:
            return "404 Not Found", TEXT, "\n".join(self._routes).encode() + b"\n"
        handle = methods.get("GET" if method == "HEAD" else method)
        if handle is None:
            return "405 Method Not Allowed", TEXT, f"only {', '.join(methods)}\n".encode()
        try:
            return handle(environ)
        except Refused as error:
            answer: Answer = error.args[0]
            return answer
        except CdcError as error:
            return STATUS.get(error.exit_code, "500 Internal Server Error"), JSON, error_body(error)
        except Exception:
            log.exception("http.bug", path=path)
            return "500 Internal Server Error", TEXT, b"a bug: see the daemon's log\n"

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
        request = body(environ, TablesRequest)
        if not self._verifying.acquire(blocking=False):
            return "409 Conflict", TEXT, b"another verify is running\n"
        try:
            return "200 OK", JSON, msgspec.json.encode(self._asked.verify(request.tables))
        finally:
            self._verifying.release()

    def _snapshot(self, environ: Environ) -> Answer:
        """For `cdc snapshot` and `cdc resync` on this machine, and for whoever has the token."""
        only_here_or_with_token(environ, self._settings)
        request = body(environ, CopyRequest)
        if request.where and not self._settings.token:
            raise ConfigError(
                "a condition is taken over HTTP only with a token",
                why="it is SQL, which the daemon's role would run for anybody on this machine",
                hint="set [http] token, or write it into [snapshot] where",
            )
        tables = self._asked.snapshot(request)
        return "200 OK", JSON, msgspec.json.encode(SnapshotAnswer(tables))

    def _sql(self, environ: Environ) -> Answer:
        """For `cdc sql` on this machine, and for whoever has the token."""
        only_here_or_with_token(environ, self._settings)
        return "200 OK", LINES, self._asked.query(body(environ, QueryRequest), client_gone())

    def _act(self, environ: Environ) -> Answer:
        if not self._settings.token:
            raise Refused((FORBIDDEN, TEXT, NO_TOKEN))
        tables = body(environ, TablesRequest).tables
        name = environ["PATH_INFO"][1:]
        said = self._asked.actions[name](tables)
        log.info("http.action", action=name, tables=tables, client=environ.get("REMOTE_ADDR"))
        return "200 OK", JSON, msgspec.json.encode({"said": said})


class Pieces:
    """An answer in pieces: while each is made, its client is not what takes long."""

    def __init__(self, pieces: Lines) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with answering():
            return next(self._pieces)

    def close(self) -> None:
        """The server calls it at the end, also when the client has gone."""
        self._pieces.close()
