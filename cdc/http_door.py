"""Who is let in, and what a request and an answer are, for the daemon's HTTP answers (`http_app.py`).

With a token, everything but health and the page's own files asks for it; without one nothing here changes anything, and only
names of this machine are answered to, so that no web page elsewhere can ask.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from cdc import page
from cdc.config import HttpSettings
from cdc.query import Lines

JSON, TEXT, LINES = "application/json", "text/plain; charset=utf-8", "application/x-ndjson"
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

Answer = tuple[str, str, bytes | Lines]  # status line, content type, body: whole, or in pieces
Environ = Mapping[str, Any]
FORBIDDEN = "403 Forbidden"
NO_TOKEN = b"set [http] token: without one nothing can be changed over HTTP\n"
T = TypeVar("T")


class Refused(Exception):
    """A request that is not understood, or not allowed; its argument is the answer."""


def refusal(settings: HttpSettings, environ: Environ) -> Answer | None:
    """The answer to whom may not ask this; None: he may."""
    token = settings.token
    if token and environ["PATH_INFO"] not in FREE:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return "401 Unauthorized", TEXT, b"send the token of [http]: Authorization: Bearer ...\n"
    if not token and not settings.open and _host(environ) not in LOCAL:
        return FORBIDDEN, TEXT, b"without a token, only localhost is answered to\n"
    return None


def only_here_or_with_token(environ: Environ, settings: HttpSettings) -> None:
    """For what a command on this machine may do, and else only who has the token. Raises Refused.

    Browsers name the origin of the page that sends something; commands have none.
    """
    if not settings.token and (settings.open or "HTTP_ORIGIN" in environ):
        raise Refused((FORBIDDEN, TEXT, NO_TOKEN))


def body(environ: Environ, kind: type[T]) -> T:
    """The body. The content type is one that no foreign web page can send unasked. Raises Refused."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != JSON:
        raise Refused(("415 Unsupported Media Type", TEXT, f"send {JSON}\n".encode()))
    if not environ.get("CONTENT_LENGTH", "0").isdecimal():  # the server would read on without an end
        raise Refused(("400 Bad Request", TEXT, b"Content-Length is no number\n"))
    try:
        return msgspec.json.decode(environ["wsgi.input"].read() or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise Refused(("400 Bad Request", TEXT, f"{error}\n".encode())) from error


def _host(environ: Environ) -> str:
    """The name that was asked for: a foreign page that had its name resolve to this machine sends that."""
    host = str(environ.get("HTTP_HOST", "localhost"))
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host if host.count(":") == 1 else host
