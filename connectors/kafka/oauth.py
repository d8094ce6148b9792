"""Tokens for OAUTHBEARER: the one that the settings have, or one fetched from a token endpoint when the last runs out."""

from __future__ import annotations

import base64
import contextlib
import time
import urllib.parse
import urllib.request
from collections.abc import Callable

import msgspec

from cdc.errors import TransportError, TransportUnavailable
from connectors.kafka.settings import Settings

TokenSource = Callable[[], tuple[str, float]]
"""Gives a token, and when it ends (seconds since the epoch)."""

TIMEOUT = 10
UNKNOWN_LIFETIME = 300.0  # seconds that a token is taken to live if it does not say


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = UNKNOWN_LIFETIME


class _Claims(msgspec.Struct):
    exp: float = 0.0


def token_source(settings: Settings) -> TokenSource:
    """For a client, which asks whenever it needs one."""
    if settings.oauth_token:
        return lambda: (settings.oauth_token, expiry(settings.oauth_token) or time.time() + UNKNOWN_LIFETIME)
    return lambda: fetch(settings)


def expiry(token: str) -> float:
    """When a JWT says that it ends; 0 if it does not, or is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0.0
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    with contextlib.suppress(ValueError, msgspec.MsgspecError):
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims).exp
    return 0.0


def fetch(settings: Settings) -> tuple[str, float]:
    """A new token by the client_credentials grant (RFC 6749, 4.4)."""
    fields = {"grant_type": "client_credentials"}
    if settings.oauth_scope:
        fields["scope"] = settings.oauth_scope
    secret = (
        f"{urllib.parse.quote(settings.oauth_client_id)}:{urllib.parse.quote(settings.oauth_client_secret)}"
    )
    request = urllib.request.Request(
        settings.oauth_token_url,
        data=urllib.parse.urlencode(fields).encode(),
        headers={"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"},
    )
    what = "no token for Kafka"
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            answer = msgspec.json.decode(response.read(), type=_Answer)
    except urllib.error.HTTPError as error:
        error.close()
        kind = TransportUnavailable if error.code >= 500 else TransportError
        hint = "see oauth_client_id, oauth_client_secret and oauth_scope in [transport]"
        raise kind(what, why=f"HTTP {error.code}", where=settings.oauth_token_url, hint=hint) from error
    except OSError as error:
        raise TransportUnavailable(what, why=str(error), where=settings.oauth_token_url) from error
    except msgspec.MsgspecError as error:
        raise TransportError(
            what, why="the answer has no access_token", where=settings.oauth_token_url
        ) from error
    return answer.access_token, time.time() + answer.expires_in
