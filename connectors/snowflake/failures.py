"""The Snowflake connector's errors, classified once: what may pass, what a person must mend, which are about a value.

Snowflake quotes values in the messages of failed casts, so those are not passed on, nor are they chained.
"""

from __future__ import annotations

import re

from snowflake.connector import errors

from cdc.errors import CdcError, TargetError, TargetUnavailable, ValueRefused

NO_SUCH_OBJECT = (2003, 2043)
SESSION_OVER = {390104, 390111, 390112, 390113, 390114, 390115, 250002}
UNREACHABLE = {250001, 250003, 250005, 250006, 251011, 251012}
BUSY = {625, 604, 630, 100183, 290500, 290503}  # lock timeout, cancelled, statement timeout, service errors
NO_ACCOUNT = {290403, 290404}
NO_RIGHT = {3001, 3041}
NO_WAREHOUSE = 606
ABOUT_VALUES = {
    *(100035, 100037, 100038, 100039, 100040, 100046, 100048, 100069),
    *(100071, 100078, 100080, 100082, 100132, 100145, 100316),
}
KEY = "ALTER USER … SET RSA_PUBLIC_KEY = '…' makes the key known; DESC USER shows its fingerprint"
GRANT = "the statements to set it up are in docs/connectors.md"
LOG_IN: dict[int, tuple[str, str, str]] = {
    390100: (
        "Incorrect username or password",
        "the user name or the password is wrong",
        "correct user and password",
    ),
    390144: ("JWT token is invalid", "the key pair is not accepted", KEY),
    390303: ("OAuth access token", "the OAuth token is not accepted", "give a new token, for this role"),
    390318: ("OAuth access token expired", "the OAuth token has expired", "give a new token"),
    390422: (
        "not allowed to access",
        "this address may not log in",
        "a network policy of the account says so",
    ),
    390189: ("specified in the connect string", "the role is not there, or the user has not got it", GRANT),
    390201: ("The requested", "the database, schema or virtual warehouse is not there for this role", GRANT),
}
"""By number: what else tells it (some versions of the connector give all of them one number), why, and what to do."""


def is_over(error: Exception) -> bool:
    """The session is gone; another can be opened."""
    return getattr(error, "errno", 0) in SESSION_OVER


def classify_log_in(error: Exception, *, what: str, where: str) -> CdcError:
    """For the first of all requests."""
    number, text = getattr(error, "errno", 0) or 0, _text(error)
    for known, (sign, why, hint) in LOG_IN.items():
        if number == known or sign in text:
            why = f"{why}: {text.partition('. ')[2] or text}" if known in (390189, 390201) else why
            return TargetError(what, why=why, where=where, hint=hint)
    if isinstance(error, errors.ForbiddenError) or number in NO_ACCOUNT:
        return TargetError(
            what,
            why="there is no such account",
            where=where,
            hint="account is as in its URL: myorg-myaccount",
        )
    told = classify(error, what=what, where=where)
    if isinstance(told, TargetUnavailable):
        told.hint = "are account, host, port and the network right?"
    return told


def classify(error: Exception, *, what: str, where: str) -> CdcError:
    """The error for a person; what is not known to pass by itself is not tried again."""
    number = getattr(error, "errno", 0) or 0
    text = _text(error)
    if number == NO_WAREHOUSE:
        hint = "name one by warehouse, and grant usage and operate on it to the role"
        return TargetError(what, why="no virtual warehouse is chosen", where=where, hint=hint)
    if number in ABOUT_VALUES or "Conversion Error" in text:
        return ValueRefused(what, why="Snowflake refused a value", where=where, rule="unrepresentable")
    if number in SESSION_OVER | UNREACHABLE | BUSY or isinstance(
        error,
        errors.OperationalError
        | errors.InterfaceError
        | errors.InternalServerError
        | errors.ServiceUnavailableError,
    ):
        return TargetUnavailable(what, why=text or "it does not answer", where=where)
    if number in NO_RIGHT:
        hint = f"grant it to the role; {GRANT}"
        return TargetError(what, why=f"the role may not do this: {text}", where=where, hint=hint)
    return TargetError(what, why=text, where=where)


def cause(error: Exception) -> Exception | None:
    """What may be chained: not the messages that quote values."""
    return None if getattr(error, "errno", 0) in ABOUT_VALUES or "Conversion Error" in str(error) else error


def _text(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(getattr(error, "raw_msg", None) or error))[:300]
