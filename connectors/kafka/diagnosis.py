"""Can a client come in? Asked before one is opened: at which step it would fail, why, and who has to mend what.

    resolve, connect     nobody there: it may pass
    TLS                  is there any, is the broker believed, are we
    SASL                 is it wanted, by this mechanism, with these credentials
    who else is there    the addresses that clients are sent on to

What `[transport] librdkafka` says of security is not known here: then nothing is asked.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cdc.errors import TransportError, TransportUnavailable
from connectors.kafka import clients
from connectors.kafka.door import Door, Hung, NotKafka
from connectors.kafka.settings import Settings

WHAT = "the broker cannot be used"
MANY = 5  # addresses that are tried
NO_SUCH_STATE, NO_MECHANISM = 34, 33
ELSEWHERE = ("security", "sasl", "ssl", "enable.ssl", "bootstrap", "metadata.broker", "socket", "broker")
PASSWORD = "see username, password and sasl_mechanism in [transport]"
TOKEN = "see oauth_token or oauth_token_url in [transport], and what the brokers expect of a token"
SPEAKS_TLS = 'this port speaks TLS, and security_protocol is "{}"'
PROTOCOL = "see security_protocol in [transport], and which listener the port is of"


def check(settings: Settings) -> None:
    """Raises TransportUnavailable for what may pass, TransportError for what a person must mend."""
    if any(name.startswith(ELSEWHERE) for name in settings.librdkafka):
        return
    failures = []
    for server in settings.bootstrap_servers.split(","):
        try:
            _enter(settings, server.strip())
        except TransportError as error:
            failures.append(error)
        else:
            return
    raise min(failures, key=lambda error: error.retriable)


def _enter(settings: Settings, server: str) -> None:
    host, port = _address(server)
    context = _context(settings)
    with _told(settings, server), closing(_door(settings, host, port, context)) as door:
        _greet(door, settings, server, host, port)
        if "SASL" in settings.security_protocol:
            _authenticate(door, settings, server)
        _go_on(door, settings, server, (host, port))


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    host = host.rpartition("//")[2].strip("[]")
    if not host or not port.isdecimal():
        raise TransportError(
            f"{server!r} is not an address", hint="bootstrap_servers in [transport] has host:port"
        )
    return host, int(port)


def _context(settings: Settings) -> ssl.SSLContext | None:
    if "SSL" not in settings.security_protocol:
        return None
    for setting in ("ssl_ca", "ssl_certificate", "ssl_key"):
        name = getattr(settings, setting)
        if name and not Path(name).is_file():
            why = "there is no such file"
            raise TransportError(WHAT, why=why, where=name, hint=f"see {setting} in [transport]")
    try:
        return clients.ssl_context(settings)
    except OSError as error:
        why = f"a certificate's file cannot be used: {getattr(error, 'reason', None) or error}"
        hint = "see ssl_ca, ssl_certificate, ssl_key and ssl_key_password in [transport]"
        raise TransportError(
            WHAT, why=why, where=settings.ssl_certificate or settings.ssl_ca, hint=hint
        ) from error


def _door(settings: Settings, host: str, port: int, context: ssl.SSLContext | None) -> Door:
    return Door(host, port, settings.connect_timeout, context, settings.client_id)


@contextmanager
def _told(settings: Settings, server: str) -> Iterator[None]:
    """What the socket says, in our words."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        if "ismatch" in error.verify_message or "not valid for" in error.verify_message:
            why = f"its certificate is for another name: {error.verify_message}"
            hint = "name the brokers as their certificates do, or ssl_check_hostname = false in [transport]"
        else:
            why = f"its certificate is not believed: {error.verify_message}"
            hint = "ssl_ca in [transport] must name a file with the CA that signed the brokers' certificates"
        raise TransportError(WHAT, why=why, where=server, hint=hint) from error
    except ssl.SSLError as error:
        raise _refused(settings, server, error) from error
    except socket.gaierror as error:
        raise TransportUnavailable(
            WHAT, why="its name is not known here", where=server, hint="see bootstrap_servers in [transport]"
        ) from error
    except (OSError, Hung, NotKafka) as error:
        why = str(getattr(error, "strerror", None) or error) or "it has hung up"
        why = "it does not answer" if isinstance(error, TimeoutError) else why
        hint = "see bootstrap_servers in [transport], and whether the brokers run"
        raise TransportUnavailable(WHAT, why=why, where=server, hint=hint) from error


def _refused(settings: Settings, server: str, error: ssl.SSLError) -> TransportError:
    """TLS that came to nothing: either there is none, or the broker does not want us."""
    host, port = _address(server)
    with contextlib.suppress(OSError, Hung, NotKafka), closing(_door(settings, host, port, None)) as door:
        door.greet()
        why = f'this port speaks no TLS, and security_protocol is "{settings.security_protocol}"'
        return TransportError(WHAT, why=why, where=server, hint=PROTOCOL)
    if "alert" not in str(error).lower():
        hint = "see whether the brokers run"
        return TransportUnavailable(
            WHAT, why=f"TLS has failed: {error.reason or error}", where=server, hint=hint
        )
    why = (
        "it does not accept our certificate"
        if settings.ssl_certificate
        else "it asks for a client's certificate"
    )
    hint = "ssl_certificate and ssl_key in [transport] must be signed by a CA that the brokers believe"
    return TransportError(WHAT, why=f"{why}: {error.reason or error}", where=server, hint=hint)


def _greet(door: Door, settings: Settings, server: str, host: str, port: int) -> None:
    try:
        door.greet()
    except (Hung, NotKafka, ConnectionError) as error:
        tls = isinstance(error, NotKafka) and error.tls
        if "SSL" not in settings.security_protocol and (tls or _speaks_tls(settings, host, port)):
            why = SPEAKS_TLS.format(settings.security_protocol)
            raise TransportError(WHAT, why=why, where=server, hint=PROTOCOL) from error
        if isinstance(error, NotKafka):
            raise TransportError(
                WHAT, why="it is not a broker of Kafka's", where=server, hint=PROTOCOL
            ) from error
        raise


def _speaks_tls(settings: Settings, host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _door(settings, host, port, context).close()
    except OSError:
        return False
    return True


def _authenticate(door: Door, settings: Settings, server: str) -> None:
    from kafka.net.sasl import get_sasl_mechanism

    verdict = door.propose(settings.sasl_mechanism)
    if verdict.error == NO_SUCH_STATE:
        raise TransportError(WHAT, why="this port asks for no credentials", where=server, hint=PROTOCOL)
    if verdict.error == NO_MECHANISM:
        why = f"it does not offer {settings.sasl_mechanism}, but {verdict.told or 'none'}"
        raise TransportError(WHAT, why=why, where=server, hint="see sasl_mechanism in [transport]")
    mechanism: Any = get_sasl_mechanism(settings.sasl_mechanism)(**clients.kafka_python(settings))
    while not mechanism.is_done():
        verdict = door.authenticate(mechanism.auth_bytes())
        if verdict.error:
            why = f"it does not accept these credentials: {verdict.told}"
            raise TransportError(
                WHAT,
                why=why,
                where=server,
                hint=TOKEN if settings.sasl_mechanism == "OAUTHBEARER" else PASSWORD,
            )
        mechanism.receive(verdict.data)


def _go_on(door: Door, settings: Settings, server: str, here: tuple[str, int]) -> None:
    """To the addresses that the brokers tell: one of them must be there."""
    try:
        brokers = door.brokers()
    except (Hung, ConnectionError) as error:
        if "SASL" in settings.security_protocol:
            raise
        why = f'it hangs up on who gives no credentials, and security_protocol is "{settings.security_protocol}"'
        raise TransportError(WHAT, why=why, where=server, hint=PROTOCOL) from error
    if here in brokers:
        return
    reasons = []
    for host, port in brokers[:MANY]:
        try:
            socket.create_connection((host, port), settings.connect_timeout).close()
        except OSError as error:
            reasons.append(f"{host}:{port}, where {error.strerror or error}")
        else:
            return
    raise TransportUnavailable(
        WHAT,
        why=f"it answers, and sends clients on to {'; '.join(reasons) or 'nobody'}",
        where=server,
        hint="see the brokers' advertised.listeners: they must be addresses that this machine can reach",
    )
