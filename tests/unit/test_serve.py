"""The daemon's HTTP answers, over real sockets, and the client that asks for them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from cdc.ask import ask_snapshot, ask_status, ask_verify, parse_address
from cdc.config import Config, HttpSettings, SourceSettings
from cdc.copy_request import CopyRequest
from cdc.errors import EXIT_TRY_AGAIN, EXIT_USAGE, CdcError, ConfigError, TargetUnavailable
from cdc.http_server import LARGEST_BODY
from cdc.meters import Meters
from cdc.serve import HttpServer
from cdc.status import Sample, SourceStatus, Status, TableStatus, WarehouseStatus


class Report(msgspec.Struct):
    equal: bool
    tables: list[str]


class FakeDaemon:
    """Answers at once, or when `hold` is released."""

    def __init__(self) -> None:
        self.registry = Meters().registry
        self.state = "streaming"
        self.failure: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.asked = threading.Event()

        self.stuck = self.error = ""
        self.acted: list[str] = []
        self.actions = {"pause": lambda _: self.acted.append("pause") or "paused"}

    def stalled(self, seconds: float) -> str:
        return self.stuck

    def status(self) -> Status:
        return Status(
            version="1",
            state=self.state,
            error=self.error,
            source=SourceStatus(slot="cdc", publication="cdc", plugin="pgoutput", confirmed_lsn="0/10"),
            tables=[TableStatus(name="public.a", state="live", inserts=3)],
            warehouses=[
                WarehouseStatus(name="w", kind="fake", behind_seconds=0.5, lag_p99=0.25, applied_lsn="1/0")
            ],
        )

    def history(self) -> list[Sample]:
        return [Sample(at=1.0, rows_per_second={"w": 2.0})]

    def snapshot(self, request: CopyRequest) -> list[str]:
        if self.failure:
            raise self.failure
        return [*request.tables, *request.where]

    def verify(self, tables: list[str]) -> Report:
        self.asked.set()
        self.hold.wait(10)
        if self.failure:
            raise self.failure
        return Report(True, tables)


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon()


@pytest.fixture
def server(daemon: FakeDaemon) -> Iterator[HttpServer]:
    with HttpServer(HttpSettings(listen="127.0.0.1:0"), daemon) as server:
        yield server


def config(server: HttpServer, slot: str = "cdc") -> Config:
    return Config(source=SourceSettings(dsn="", slot=slot), http=HttpSettings(listen=server.address))


def request(server: HttpServer, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(server.address, timeout=5)
    connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, answer


def test_a_client_gets_the_status(server: HttpServer, daemon: FakeDaemon) -> None:
    assert ask_status(config(server)) == daemon.status()


def test_health_and_readiness_follow_the_state(server: HttpServer, daemon: FakeDaemon) -> None:
    expected = {"streaming": (200, 200), "starting": (200, 503), "retrying": (200, 503), "failed": (503, 503)}
    for daemon.state, codes in expected.items():
        assert (request(server, "GET", "/healthz")[0], request(server, "GET", "/readyz")[0]) == codes


def test_lag_is_the_part_of_status_that_says_how_far_behind(server: HttpServer) -> None:
    lag = json.loads(request(server, "GET", "/lag")[1])
    assert lag["warehouses"]["w"]["lag_p99"] == 0.25


def test_metrics(server: HttpServer) -> None:
    _, text = request(server, "GET", "/metrics")
    for line in (
        'cdc_rows_total{operation="insert",table="public.a"} 3.0',
        'cdc_lag_seconds{quantile="0.99",warehouse="w"} 0.25',
        'cdc_source_lsn_bytes{kind="confirmed"} 16.0',
        'cdc_state{state="streaming"} 1.0',
        'cdc_applied_lsn_bytes{warehouse="w"} 4.294967296e+09',
    ):
        assert line in text


def test_verify_goes_through(server: HttpServer) -> None:
    assert json.loads(ask_verify(config(server), ["public.a"])) == {"equal": True, "tables": ["public.a"]}


def test_a_failure_arrives_as_it_was(server: HttpServer, daemon: FakeDaemon) -> None:
    daemon.failure = TargetUnavailable("no", why="why", hint="hint", where="where")
    with pytest.raises(CdcError) as caught:
        ask_verify(config(server), [])
    assert str(caught.value) == str(daemon.failure)
    assert caught.value.exit_code == EXIT_TRY_AGAIN


def test_a_bug_is_not_shown_to_the_client(server: HttpServer, daemon: FakeDaemon, capsys: object) -> None:
    daemon.failure = ValueError("inner matters")
    status, text = request(server, "POST", "/verify", b"{}", Content_Type="application/json")
    assert (status, "inner" in text) == (500, False)


def test_a_request_for_copies_goes_through(server: HttpServer, daemon: FakeDaemon) -> None:
    wanted = CopyRequest(["public.a"], restart=True)
    assert ask_snapshot(config(server), wanted) == ["public.a"]
    assert request(server, "POST", "/snapshot", b'{"table": []}', Content_Type="application/json")[0] == 400
    assert request(server, "POST", "/snapshot", b"{}")[0] == 415
    daemon.failure = ConfigError("no captured table is named public.c")
    with pytest.raises(CdcError, match=r"public\.c") as raised:
        ask_snapshot(config(server), wanted)
    assert raised.value.exit_code == EXIT_USAGE


def test_a_condition_is_taken_with_the_token_alone(server: HttpServer, daemon: FakeDaemon) -> None:
    """It is SQL that the daemon's role runs."""
    wanted = CopyRequest(where={"public.b": "n > 1"})
    with pytest.raises(CdcError, match="a condition is taken over HTTP only with a token"):
        ask_snapshot(config(server), wanted)
    with HttpServer(HttpSettings(listen="127.0.0.1:0", token="t"), daemon) as guarded:
        asking = msgspec.structs.replace(
            config(guarded), http=HttpSettings(listen=guarded.address, token="t")
        )
        assert ask_snapshot(asking, wanted) == ["public.b"]


def test_one_verify_at_a_time(server: HttpServer, daemon: FakeDaemon) -> None:
    daemon.hold.clear()
    answers: list[bytes] = []
    first = threading.Thread(target=lambda: answers.append(ask_verify(config(server), [])))
    first.start()
    assert daemon.asked.wait(5)
    with pytest.raises(CdcError, match="another verify is running"):
        ask_verify(config(server), [])
    daemon.hold.set()
    first.join()
    assert answers


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status"),
    [
        ("GET", "/nothing", b"", "", 404),
        ("POST", "/pause", b"{}", "application/json", 403),
        ("GET", "/../etc/passwd", b"", "", 404),
        ("POST", "/status", b"", "", 405),
        ("GET", "/verify", b"", "", 405),
        ("POST", "/verify", b"{}", "text/plain", 415),
        ("POST", "/verify", b"{", "application/json", 400),
        ("POST", "/verify", b'{"tabels": []}', "application/json", 400),
        ("POST", "/verify", b" " * (LARGEST_BODY + 1), "application/json", 413),
    ],
)
def test_other_requests_are_refused(
    server: HttpServer, method: str, path: str, body: bytes, content_type: str, status: int
) -> None:
    assert request(server, method, path, body, Content_Type=content_type)[0] == status


def test_no_daemon_is_an_answer() -> None:
    with socket.socket() as taken:
        taken.bind(
            ("127.0.0.1", 0)
        )  # bound and not listening: nobody else gets the port, and connecting is refused
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert ask_status(Config(source=SourceSettings(dsn=""), http=HttpSettings(listen=listen))) is None
    assert ask_status(Config(source=SourceSettings(dsn=""), http=HttpSettings(listen=""))) is None


def test_another_daemon_is_not_believed(server: HttpServer) -> None:
    with pytest.raises(CdcError, match="streams slot 'cdc', not 'other'"):
        ask_status(config(server, slot="other"))


def test_a_port_in_use_is_named_with_its_key(server: HttpServer, daemon: FakeDaemon) -> None:
    with pytest.raises(CdcError, match=r"\[http\] listen = '127.0.0.1:\d+'.*in use.*CDC_HTTP__LISTEN"):
        HttpServer(HttpSettings(listen=server.address), daemon).__enter__()


def test_a_silent_client_does_not_hold_up_others(server: HttpServer) -> None:
    host, port = parse_address(server.address)
    with socket.create_connection((host, port)) as silent:
        silent.sendall(b"GET /status HTTP/1.1\r\n")
        assert ask_status(config(server)) is not None


@pytest.mark.parametrize("listen", ["8085", "localhost", "host:port", "host:99999", "::1:80"])
def test_an_address_must_be_one(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"\[http\] listen is not an address"):
        parse_address(listen)


def test_addresses() -> None:
    assert parse_address("[::1]:80") == ("::1", 80)
    assert parse_address(":80") == ("", 80)


def test_the_past_is_told_for_plots(server: HttpServer) -> None:
    _, body = request(server, "GET", "/history")
    assert json.loads(body)["samples"][0]["rows_per_second"] == {"w": 2.0}
