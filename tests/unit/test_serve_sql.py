"""POST /sql: who may ask, in pieces, and what becomes of an answer whose client goes away."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from cdc.ask import ask_sql, parse_address
from cdc.config import Config, HttpSettings, SourceSettings
from cdc.errors import EXIT_TRY_AGAIN, CdcError, ConfigError
from cdc.query import Gone, QueryColumn, QueryRequest, lines
from cdc.serve import HttpServer
from tests.fixtures.line import eventually
from tests.unit.test_serve import FakeDaemon, request
from tests.unit.test_serve_guarded import BEARER, JSON, TOKEN, serving

BODY = b'{"sql": "select 1"}'


class Counting:
    """Rows 0, 1, 2 …, for as long as anybody takes them."""

    columns = (QueryColumn("n", "BIGINT", "number"), QueryColumn("text", "VARCHAR"))

    def __init__(self, end: int) -> None:
        self.at, self.end = 0, end

    def fetch(self, rows: int) -> list[tuple[str, str]]:
        first, self.at = self.at, min(self.at + rows, self.end)
        return [(str(n), "x" * 1000) for n in range(first, self.at)]

    def close(self) -> None:
        raise AssertionError("the daemon's answer closes it")


class Answer:
    """What a daemon answers with; says that it was closed."""

    def __init__(self, end: int) -> None:
        self.closed = threading.Event()
        self._lines = lines(Counting(end), end, 1 << 40)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        self.closed.set()


class Answering(FakeDaemon):
    """A daemon that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.end = 3
        self.given = Answer(0)
        self.requests: list[QueryRequest] = []
        self.gone: Gone = lambda: False

    def query(self, request: QueryRequest, gone: Gone) -> Answer:
        if self.failure:
            raise self.failure
        self.requests.append(request)
        self.gone = gone
        self.given = Answer(self.end)
        if not self.hold.is_set():
            eventually(gone)
        return self.given


def config(server: HttpServer, **settings: str) -> Config:
    return Config(source=SourceSettings(dsn=""), http=HttpSettings(listen=server.address, **settings))


def test_an_answer_comes_in_lines_and_is_closed() -> None:
    daemon = Answering()
    daemon.end = 20_000
    with serving(daemon) as server, ask_sql(config(server), QueryRequest("select 1", "w", 5)) as told:
        header, *rows, footer = map(json.loads, told)
    assert [column["name"] for column in header["columns"]] == ["n", "text"]
    assert [row[0] for row in rows] == list(range(20_000))
    assert footer == {"rows": 20_000, "truncated": "", "error": None}
    assert daemon.requests == [QueryRequest("select 1", "w", 5)]
    assert daemon.given.closed.is_set()


def test_whoever_may_not_ask_is_refused_before_the_daemon_is_asked() -> None:
    daemon = Answering()
    with serving(daemon, token=TOKEN) as server:
        assert request(server, "POST", "/sql", BODY, Content_Type=JSON)[0] == 401
        assert request(server, "POST", "/sql", BODY, Content_Type=JSON, Authorization=BEARER)[0] == 200
    assert len(daemon.requests) == 1
    with serving(daemon) as server:
        assert request(server, "POST", "/sql", BODY, Content_Type="text/plain")[0] == 415
        assert request(server, "POST", "/sql", BODY, Content_Type=JSON, Host="evil.example")[0] == 403
        assert request(server, "GET", "/sql")[0] == 405
        assert request(server, "POST", "/sql", b'{"sq": 1}', Content_Type=JSON)[0] == 400
    with serving(daemon, listen="0.0.0.0:0", open=True) as server:
        port = parse_address(server.address)[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("POST", "/sql", BODY, {"Content-Type": JSON})
        assert connection.getresponse().status == 403
        connection.close()
    assert len(daemon.requests) == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(ConfigError("wrong", why="here"), 400, 2), (CdcError("too long"), 500, 1), (None, 503, EXIT_TRY_AGAIN)],
)
def test_an_error_comes_back_as_it_was(error: CdcError | None, status: int, code: int) -> None:
    daemon = Answering()
    daemon.failure = error or CdcError("others are asking")
    if error is None:
        daemon.failure.exit_code = EXIT_TRY_AGAIN  # type: ignore[attr-defined]
    with serving(daemon) as server:
        assert request(server, "POST", "/sql", BODY, Content_Type=JSON)[0] == status
        with pytest.raises(CdcError) as raised, ask_sql(config(server), QueryRequest("x")):
            pass
    assert (str(raised.value), raised.value.exit_code) == (str(daemon.failure), code)


def test_a_client_that_goes_away_ends_its_answer() -> None:
    daemon = Answering()
    daemon.end = 10_000_000
    with serving(daemon) as server:
        with ask_sql(config(server), QueryRequest("x")) as told:
            for _ in range(100):
                next(told)
            assert not daemon.given.closed.is_set()
        eventually(daemon.given.closed.is_set)
        daemon.end = 1
        with ask_sql(config(server), QueryRequest("x")) as told:
            assert len(list(told)) == 3


def test_a_client_that_goes_away_before_the_first_row_is_noticed() -> None:
    daemon = Answering()
    daemon.hold.clear()
    with serving(daemon) as server:
        host, port = parse_address(server.address)
        client = socket.create_connection((host, port))
        head = f"POST /sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        client.sendall(head.encode() + BODY)
        eventually(lambda: daemon.requests)
        assert not daemon.gone()
        client.close()
        eventually(daemon.gone)
        eventually(daemon.given.closed.is_set)
