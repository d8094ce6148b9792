"""Asks a running daemon over HTTP: the client side of `serve.py`.

Nobody listening is an ordinary answer, None: the command then looks for itself. Whoever listens must be a
daemon with our slot: a wrong answer would be worse than none.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from cdc.config import Config, HttpSettings
from cdc.errors import EXIT_FAILED, EXIT_TRY_AGAIN, CdcError, ConfigError
from cdc.status import Status

STATUS_SECONDS = 5.0
SNAPSHOT_SECONDS = 90.0  # the daemon takes a request up between two transactions
VERIFY_SECONDS = 24 * 3600.0
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class SnapshotAnswer(msgspec.Struct):
    """The tables that a request for copies names."""

    tables: list[str]


class ErrorBody(msgspec.Struct):
    """A CdcError on its way through HTTP."""

    what: str
    why: str = ""
    hint: str = ""
    where: str = ""
    exit_code: int = EXIT_FAILED


def error_body_of(error: CdcError) -> ErrorBody:
    """The error as it is told."""
    return ErrorBody(error.what, error.why, error.hint, error.where, error.exit_code)


def error_of(told: ErrorBody) -> CdcError:
    """The inverse."""
    error = CdcError(told.what, why=told.why, hint=told.hint, where=told.where)
    error.exit_code = told.exit_code
    return error


def error_body(error: CdcError) -> bytes:
    """The error as JSON, which `ask` turns into an error again."""
    return msgspec.json.encode(error_body_of(error))


def ask_status(config: Config) -> Status | None:
    """The status of the daemon that runs this configuration; None if there is no daemon."""
    answer = _request(config.http, "GET", "/status", b"", STATUS_SECONDS)
    if answer is None:
        return None
    try:
        status = msgspec.json.decode(answer, type=Status)
    except msgspec.MsgspecError as error:
        raise _stranger(config.http.listen, "its answer is not a status") from error
    if status.source.slot != config.source.slot:
        raise _stranger(
            config.http.listen, f"it streams slot {status.source.slot!r}, not {config.source.slot!r}"
        )
    return status


def ask_health(config: Config, *, ready: bool) -> tuple[bool, str]:
    """Whether the daemon is alive, or (`ready`) streams, and what it says of itself."""
    listen = config.http.listen
    if not listen:
        return False, "no answer: [http] listen is empty"
    found = _exchange(config.http, "GET", "/readyz" if ready else "/healthz", b"", STATUS_SECONDS)
    if found is None:
        return False, f"no daemon answers at {listen}"
    status, answer = found
    return status == http.client.OK, answer.decode(errors="replace").strip() or str(status)


def ask_verify(config: Config, tables: Sequence[str]) -> bytes:
    """The daemon's report as JSON; to be called when `ask_status` has found it."""
    body = msgspec.json.encode({"tables": list(tables)})
    answer = _request(config.http, "POST", "/verify", body, VERIFY_SECONDS)
    if answer is None:
        raise _try_again(config.http.listen, "the daemon has just ended")
    return answer


def ask_snapshot(config: Config, request: msgspec.Struct) -> list[str]:
    """Have the daemon copy tables; their names. To be called when `ask_status` has found it."""
    body = msgspec.json.encode(request)
    answer = _request(config.http, "POST", "/snapshot", body, SNAPSHOT_SECONDS)
    if answer is None:
        raise _try_again(config.http.listen, "the daemon has just ended")
    return msgspec.json.decode(answer, type=SnapshotAnswer).tables


@contextmanager
def ask_sql(config: Config, request: msgspec.Struct) -> Iterator[Iterator[bytes]]:
    """The lines of the daemon's answer (see `cdc.query`), read as they come. To be called when `ask_status` has found it."""
    listen, timeout = config.http.listen, config.sql.max_seconds + STATUS_SECONDS
    with _answer(config.http, "POST", "/sql", msgspec.json.encode(request), timeout) as response:
        if response is None:
            raise _try_again(listen, "the daemon has just ended")
        if response.status != http.client.OK:
            raise _failure(listen, response.status, response.read())
        yield _lines(response, listen, timeout)


def _lines(response: http.client.HTTPResponse, listen: str, timeout: float) -> Iterator[bytes]:
    while True:
        with _told(listen, timeout):
            line = response.readline()
        if not line:
            return
        yield line


def parse_address(listen: str) -> tuple[str, int]:
    """'127.0.0.1:8085' or '[::1]:8085' → host and port."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ConfigError(
            "[http] listen is not an address", where=repr(listen), hint="such as 127.0.0.1:8085"
        )
    return host.strip("[]"), int(port)


def _request(
    http_settings: HttpSettings, method: str, path: str, body: bytes, timeout: float
) -> bytes | None:
    """The answer to a question; None if nobody is asked. Raises what a refusal says."""
    listen = http_settings.listen
    found = _exchange(http_settings, method, path, body, timeout) if listen else None
    if found is None:
        return None
    status, answer = found
    if status == http.client.OK:
        return answer
    raise _failure(listen, status, answer)


def _exchange(
    settings: HttpSettings, method: str, path: str, body: bytes, timeout: float
) -> tuple[int, bytes] | None:
    """Status and body of an answer; None if nobody listens."""
    with _answer(settings, method, path, body, timeout) as response, _told(settings.listen, timeout):
        return (response.status, response.read()) if response is not None else None


@contextmanager
def _answer(
    settings: HttpSettings, method: str, path: str, body: bytes, timeout: float
) -> Iterator[http.client.HTTPResponse | None]:
    """An answer of which the body is still to be read; None if nobody listens."""
    host, port = parse_address(settings.listen)
    host = ANYWHERE.get(host, host)
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    if settings.tls_certificate:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=_trusting(settings))
    headers = {"Content-Type": "application/json"} if body else {}
    if settings.token:
        headers["Authorization"] = f"Bearer {settings.token}"
    response = None
    try:
        with _told(settings.listen, timeout), suppress(ConnectionRefusedError):
            connection.request(method, path, body, headers)
            response = connection.getresponse()
        yield response
    finally:
        connection.close()


@contextmanager
def _told(listen: str, timeout: float) -> Iterator[None]:
    """What goes wrong with a connection, in our words."""
    try:
        yield
    except TimeoutError as error:
        raise _try_again(listen, f"it did not answer within {timeout:.0f} seconds") from error
    except (ConnectionError, http.client.IncompleteRead) as error:
        raise _try_again(listen, "it closed the connection") from error
    except (OSError, http.client.HTTPException) as error:
        raise _stranger(listen, str(error) or type(error).__name__) from error


def _trusting(settings: HttpSettings) -> ssl.SSLContext:
    """Trusts the daemon's own certificate, whatever its name: the address is the configuration's."""
    try:
        context = ssl.create_default_context(cafile=settings.tls_certificate)
    except OSError as error:
        raise ConfigError(
            "the certificate cannot be read",
            where=f"[http] tls_certificate = {settings.tls_certificate!r}",
            why=error.strerror or str(error),
        ) from error
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _failure(listen: str, status: int, answer: bytes) -> CdcError:
    """What an answer other than 200 says."""
    if status == http.client.UNAUTHORIZED:
        return CdcError(
            f"the daemon at {listen} wants its token",
            hint="set [http] token (CDC_HTTP__TOKEN) as the daemon has it",
        )
    if status == http.client.CONFLICT:
        return _try_again(listen, answer.decode(errors="replace").strip())
    try:
        told = msgspec.json.decode(answer, type=ErrorBody)
    except msgspec.MsgspecError:
        return _stranger(listen, f"it answered {status}")
    return error_of(told)


def _stranger(listen: str, why: str) -> CdcError:
    return CdcError(
        f"what listens at {listen} is not our daemon",
        why=why,
        hint="set [http] listen to the daemon's address, or give each daemon one of its own",
    )


def _try_again(listen: str, why: str) -> CdcError:
    error = CdcError(f"the daemon at {listen} cannot answer", why=why, hint="try again")
    error.exit_code = EXIT_TRY_AGAIN
    return error
