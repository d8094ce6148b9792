"""Coming in: every way that is configured right works with both clients, and every mistake is told at once, with its remedy."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cdc.errors import TransportError, TransportUnavailable
from cdc.interfaces import Checkpoint
from connectors.kafka import Settings
from connectors.kafka.consuming import read_all
from tests.fixtures.kafka_broker import PASSWORD, Address
from tests.fixtures.kafka_ends import Ends

CLIENTS = ("librdkafka", "kafka-python")
AT_ONCE = 10.0
Given = dict[str, Any]


def token(**claims: object) -> str:
    """An unsigned JWT, which the test broker believes."""
    now = int(time.time())
    parts: list[dict[str, object]] = [
        {"alg": "none"},
        {"sub": "alice", "iat": now, "exp": now + 600, **claims},
    ]
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}."


@pytest.fixture(scope="module")
def token_url() -> Iterator[str]:
    """An OAuth server, which knows one client."""
    expected = "Basic " + base64.b64encode(b"us:secret").decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            right = self.headers["Authorization"] == expected
            self.send_response(200 if right else 401)
            self.end_headers()
            answer = {"access_token": token(), "expires_in": 600} if right else {}
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
        server.shutdown()


@pytest.fixture
def doors(secure_kafka: Address, token_url: str) -> dict[str, Given]:
    """The right settings for each door."""
    file = secure_kafka.file
    tls: Given = {"ssl_ca": file("ca.pem")}
    sasl: Given = {"bootstrap_servers": secure_kafka.sasl, "security_protocol": "SASL_SSL", **tls}
    known: Given = {**sasl, "username": "alice", "password": PASSWORD}
    oauth: Given = {**sasl, "sasl_mechanism": "OAUTHBEARER"}
    ours = {"oauth_token_url": token_url, "oauth_client_id": "us", "oauth_client_secret": "secret"}
    cert: Given = {"bootstrap_servers": secure_kafka.cert, "security_protocol": "SSL", **tls}
    odd = {"bootstrap_servers": secure_kafka.odd, "security_protocol": "SASL_PLAINTEXT"}
    return {
        "clear": {"bootstrap_servers": secure_kafka.plain},
        "PLAIN": known,
        "SCRAM-SHA-256": {**known, "sasl_mechanism": "SCRAM-SHA-256"},
        "SCRAM-SHA-512": {**known, "sasl_mechanism": "SCRAM-SHA-512"},
        "token": {**oauth, "oauth_token": token()},
        "token url": {**oauth, **ours},
        "certificate": {**cert, "ssl_certificate": file("client.pem"), "ssl_key": file("client.key")},
        "odd": {**odd, "username": "alice", "password": PASSWORD},
    }


def settings(prefix: str, **given: Any) -> Settings:
    return Settings(topic_prefix=prefix, **{"connect_timeout": 5.0, "delivery_timeout": 20.0, **given})


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "door", ["clear", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "token", "token url", "certificate"]
)
def test_who_is_let_in_can_write_and_read(
    doors: dict[str, Given], prefix: str, door: str, client: str
) -> None:
    of = settings(prefix, client=client, **doors[door])
    ends = Ends(of)
    publisher = ends.publisher()
    publisher.remember("door", b"open", now=False)
    publisher.flush()
    publisher.close()
    assert [record.value for record in read_all(of, of.progress_topic)] == [b"open"]
    subscriber = ends.subscriber(Checkpoint)
    subscriber.seek({})
    assert subscriber.receive(0.1) is None
    subscriber.close()


STRANGER = {"ssl_certificate": "stranger.pem", "ssl_key": "stranger.key"}
NOBODY = {"ssl_certificate": "", "ssl_key": ""}
LEFT = {"security_protocol": "SASL_PLAINTEXT", "username": "a", "password": "b"}
SCRAM = {"sasl_mechanism": "SCRAM-SHA-512"}
SENT_ON = "sends clients on to 127.0.0.1:1.*advertised.listeners"
MISTAKES: dict[str, tuple[str, Given, bool, str]] = {
    # what is wrong: the door, what is set otherwise, whether it may pass, what is told
    "the password": (
        "PLAIN",
        {"password": "x"},
        False,
        "credentials.*Invalid username or password.*username",
    ),
    "SCRAM's password": ("SCRAM-SHA-512", {"password": "x"}, False, "credentials.*see username, password"),
    "a token that has ended": ("token", {"oauth_token": token(exp=1)}, False, "credentials.*see oauth_token"),
    "the secret": ("token url", {"oauth_client_secret": "x"}, False, "HTTP 401.*oauth_client_id"),
    "no token server": ("token url", {"oauth_token_url": "http://127.0.0.1:1/"}, True, "no token.*refused"),
    "the mechanism": ("odd", {}, False, "does not offer PLAIN, but SCRAM-SHA-512.*see sasl_mechanism"),
    "where one is sent on to": ("odd", SCRAM, True, SENT_ON),
    "no TLS where there is": ("certificate", {"security_protocol": "PLAINTEXT"}, False, "port speaks TLS"),
    "TLS where there is none": ("clear", {"security_protocol": "SSL"}, False, "port speaks no TLS"),
    "SASL where there is none": ("clear", LEFT, False, "asks for no credentials"),
    "no SASL where there is": ("PLAIN", {"security_protocol": "SSL"}, False, "hangs up on who gives no"),
    "the CA": ("PLAIN", {"ssl_ca": "stranger.pem"}, False, "certificate is not believed.*ssl_ca in"),
    "the file of the CA": ("PLAIN", {"ssl_ca": "nothing.pem"}, False, "no such file.*see ssl_ca"),
    "the file of the key": ("certificate", {"ssl_key": "ca.pem"}, False, "cannot be used.*see ssl_ca, ssl_c"),
    "no certificate of ours": ("certificate", NOBODY, False, "asks for a client.s certificate"),
    "a certificate of ours": ("certificate", STRANGER, False, "does not accept our certificate"),
    "the port": ("clear", {"bootstrap_servers": "127.0.0.1:1"}, True, "refused.*see bootstrap_servers"),
    "the host": ("clear", {"bootstrap_servers": "nowhere.invalid:1"}, True, "name is not known here"),
    "the address": ("clear", {"bootstrap_servers": "nowhere"}, False, "is not an address.*host:port"),
}


@pytest.mark.parametrize("wrong", MISTAKES)
def test_a_mistake_is_told_at_once(
    doors: dict[str, Given], secure_kafka: Address, prefix: str, wrong: str
) -> None:
    door, given, may_pass, told = MISTAKES[wrong]
    files = {
        name: secure_kafka.file(file) for name, file in given.items() if name.startswith("ssl_") and file
    }
    ends = Ends(settings(prefix, **{**doors[door], **given, **files}))
    openings: list[Callable[[], object]] = [ends.publisher, lambda: ends.subscriber(Checkpoint)]
    for opening in openings:
        begun = time.monotonic()
        with pytest.raises(TransportError, match=told) as raised:
            opening()
        assert time.monotonic() - begun < AT_ONCE
        assert raised.value.retriable == may_pass == isinstance(raised.value, TransportUnavailable)
        assert PASSWORD not in str(raised.value)


def test_a_certificate_for_another_name_is_not_believed_unless_that_is_asked_for(
    doors: dict[str, Given], secure_kafka: Address, prefix: str
) -> None:
    port = secure_kafka.sasl.rpartition(":")[2]
    given = {**doors["PLAIN"], "bootstrap_servers": f"127.0.0.2:{port}"}
    with pytest.raises(TransportError, match=r"for another name.*127\.0\.0\.2.*ssl_check_hostname"):
        Ends(settings(prefix, **given)).publisher()
    Ends(settings(prefix, **given, ssl_check_hostname=False)).publisher().close()


def test_one_broker_of_several_is_enough(doors: dict[str, Given], prefix: str) -> None:
    given = doors["PLAIN"]
    several = {**given, "bootstrap_servers": f"127.0.0.1:1, {given['bootstrap_servers']}"}
    Ends(settings(prefix, **several)).publisher().close()
