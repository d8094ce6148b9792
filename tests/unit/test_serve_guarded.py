"""Whom the daemon answers: tokens, TLS, names, and clients that are slow, hostile or many."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cdc.ask import ask_health, ask_status, parse_address
from cdc.config import Config, HttpSettings, SourceSettings
from cdc.errors import CdcError, ConfigError
from cdc.http_server import LARGEST_HEADERS, MOST_CLIENTS
from cdc.serve import HttpServer
from tests.unit.test_serve import FakeDaemon, request

TOKEN = "a-long-token"
BEARER = f"Bearer {TOKEN}"
JSON = "application/json"


@contextmanager
def serving(daemon: FakeDaemon | None = None, **settings: str | bool | float) -> Iterator[HttpServer]:
    chosen = HttpSettings(**{"listen": "127.0.0.1:0", **settings})  # type: ignore[arg-type]
    with HttpServer(chosen, daemon or FakeDaemon()) as server:
        yield server


def config(server: HttpServer, **settings: str) -> Config:
    return Config(
        source=SourceSettings(dsn="", slot="cdc"), http=HttpSettings(listen=server.address, **settings)
    )


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "192.0.2.1:80", "example.com:80", "[::]:0"])
def test_nobody_beyond_this_machine_is_answered_unasked(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"anybody on the network.*\[http\] token"):
        HttpServer(HttpSettings(listen=listen), FakeDaemon())


@pytest.mark.parametrize("how", [{"token": TOKEN}, {"open": True}])
def test_with_a_token_or_when_told_so_it_listens_everywhere(how: dict[str, str | bool]) -> None:
    with serving(listen="0.0.0.0:0", **how) as server:
        port = parse_address(server.address)[1]
        local = Config(
            source=SourceSettings(dsn="", slot="cdc"),
            http=HttpSettings(listen=f"127.0.0.1:{port}", token=str(how.get("token", ""))),
        )
        assert ask_status(local) is not None


def test_the_token_opens_everything_but_health_and_the_page() -> None:
    with serving(token=TOKEN) as server:
        for path in ("/status", "/lag", "/metrics"):
            assert request(server, "GET", path)[0] == 401
            assert request(server, "GET", path, Authorization="Bearer wrong")[0] == 401
            assert request(server, "GET", path, Authorization=BEARER)[0] == 200
        for path in ("/healthz", "/readyz", "/", "/page.js", "/page.css"):
            assert request(server, "GET", path)[0] == 200
        assert request(server, "POST", "/verify", b"{}", Content_Type=JSON)[0] == 401


def test_a_command_sends_the_token_of_its_configuration() -> None:
    with serving(token=TOKEN) as server:
        assert ask_status(config(server, token=TOKEN)) is not None
        assert ask_health(config(server), ready=True)[0]
        with pytest.raises(CdcError, match="wants its token"):
            ask_status(config(server))


def test_actions_want_a_token_and_a_body_that_no_foreign_page_can_send() -> None:
    daemon = FakeDaemon()
    with serving(daemon, token=TOKEN) as server:
        assert request(server, "POST", "/pause", b"{}", Content_Type=JSON)[0] == 401
        assert (
            request(server, "POST", "/pause", b"{}", Content_Type="text/plain", Authorization=BEARER)[0]
            == 415
        )
        assert daemon.acted == []
        answer = request(server, "POST", "/pause", b"{}", Content_Type=JSON, Authorization=BEARER)
        assert answer == (200, '{"said":"paused"}')
        assert daemon.acted == ["pause"]


def test_without_a_token_another_name_of_this_machine_is_no_key_to_it() -> None:
    """A web page whose name was made to resolve to 127.0.0.1."""
    with serving() as server:
        assert request(server, "GET", "/status", Host="evil.example:8085")[0] == 403
        for host in ("localhost:8085", "127.0.0.1", "[::1]:8085"):
            assert request(server, "GET", "/status", Host=host)[0] == 200


def test_no_error_is_told_to_whom_the_token_is_not(capsys: object) -> None:
    daemon = FakeDaemon()
    daemon.state, daemon.error = "retrying", "inner matters"
    with serving(daemon, token=TOKEN) as server:
        assert request(server, "GET", "/readyz") == (503, "retrying\n")
    with serving(daemon) as server:
        assert request(server, "GET", "/readyz") == (503, "retrying inner matters\n")


def test_health_asks_whether_the_loops_go_round_and_readiness_how_far_behind() -> None:
    daemon = FakeDaemon()
    with serving(daemon, ready_seconds=0.4) as server:
        assert request(server, "GET", "/readyz") == (503, "behind by more than 0 seconds: w\n")
        daemon.stuck = "applier w"
        assert request(server, "GET", "/healthz") == (503, "stalled: applier w\n")
    with serving(ready_seconds=0) as server:
        assert request(server, "GET", "/readyz")[0] == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    key = file.with_name("key.pem")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=cdc.example", "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + key.read_text())
    return file


def test_over_tls_commands_trust_the_daemons_certificate_alone(certificate: Path) -> None:
    with serving(tls_certificate=str(certificate)) as server:
        assert ask_status(config(server, tls_certificate=str(certificate))) is not None
        strict = http.client.HTTPSConnection(server.address, context=ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            strict.request("GET", "/status")


def test_a_client_that_is_silent_in_the_handshake_holds_nobody_up(certificate: Path) -> None:
    with serving(tls_certificate=str(certificate)) as server, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(socket.create_connection(parse_address(server.address)))
        begun = time.monotonic()
        assert ask_status(config(server, tls_certificate=str(certificate))) is not None
        assert time.monotonic() - begun < 3


def test_a_certificate_that_is_none_is_named_with_its_key() -> None:
    with (
        pytest.raises(ConfigError, match=r"\[http\] tls_certificate = '/nowhere'"),
        serving(tls_certificate="/nowhere"),
    ):
        pass


def healthy(server: HttpServer) -> float:
    """How long /healthz takes."""
    begun = time.monotonic()
    assert request(server, "GET", "/healthz")[0] == 200
    return time.monotonic() - begun


def test_clients_that_drip_their_request_do_not_keep_health_from_being_asked() -> None:
    over = threading.Event()

    def drip(address: tuple[str, int]) -> None:
        """Byte after byte of a header that never ends; anew when cut off."""
        while not over.is_set():
            try:
                with socket.create_connection(address) as client:
                    client.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
                    while not over.wait(0.1):
                        client.sendall(b"x")
            except OSError:
                over.wait(0.05)

    with serving() as server:
        address = parse_address(server.address)
        threads = [threading.Thread(target=drip, args=(address,), daemon=True) for _ in range(30)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.5)  # the attack is on
            assert max(healthy(server) for _ in range(3)) < 4.5
        finally:
            over.set()
            for thread in threads:
                thread.join()


def test_many_silent_connections_cost_no_thread_and_the_oldest_go_first() -> None:
    with serving() as server, ExitStack() as stack:
        address = parse_address(server.address)
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(3 * MOST_CLIENTS)]
        assert healthy(server) < 3
        silent[0].settimeout(5)
        assert silent[0].recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (LARGEST_HEADERS + 1) + b"\r\n\r\n", b"413"),
        (b"GET /" + b"x" * (LARGEST_HEADERS + 1) + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (
            b"POST /verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n",
            b"400",
        ),
    ],
    ids=["huge header", "huge path", "not HTTP", "a later HTTP", "less than nothing"],
)
def test_nonsense_is_refused_and_the_next_one_answered(sent: bytes, status: bytes) -> None:
    with serving() as server:
        with socket.create_connection(parse_address(server.address), timeout=5) as client:
            client.sendall(sent)
            assert status in client.recv(100)
        healthy(server)


def test_answers_tell_browsers_to_keep_them_to_themselves() -> None:
    with serving() as server:
        connection = http.client.HTTPConnection(server.address, timeout=5)
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        assert "default-src 'none'" in (response.getheader("Content-Security-Policy") or "")
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        connection.close()
