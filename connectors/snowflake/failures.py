"""The Snowflake connector's errors, classified once: what may pass, what a person must mend, which are about a value.

Snowflake quotes values in the messages of failed casts, so those are not passed on, nor are they chained.
"""

from __future__ import annotations

import re

from snowflake.connector import errors

from cdc.errors import CdcError, TargetError, TargetUnavailable, ValueRefused

NO_SUCH_OBJECT = (2003, 2043)
SESSION_OVER = {390114, 390111, 390112, 390195, 250001, 250002, 250003, 250006}
BUSY = {625, 604, 630, 100183, 290500, 290503}  # lock timeout, cancelled, statement timeout, service errors
LOG_IN = {
    250001: "",
    390100: "user name or password is wrong",
    390144: "the key pair or its token is not accepted",
    390422: "this address may not log in",
}
NO_WAREHOUSE = 606
ABOUT_VALUES = {
    100035,
    100037,
    100038,
    100039,
    100040,
    100046,
    100048,
    100069,
    100071,
    100078,
    100080,
    100082,
    100132,
    100145,
    100316,
}


def classify(error: Exception, *, what: str, where: str) -> CdcError:
    """The error for a person; what is not known to pass by itself is not tried again."""
    number = getattr(error, "errno", 0) or 0
    text = _text(error)
    if number in (390100, 390144, 390422):
        return TargetError(
            what, why=LOG_IN[number], where=where, hint="correct [warehouses.…] user and its credentials"
        )
    if number == NO_WAREHOUSE:
        hint = "name one by warehouse, and grant usage and operate on it to the role"
        return TargetError(what, why="no virtual warehouse is chosen", where=where, hint=hint)
    if number in ABOUT_VALUES or "Conversion Error" in text:
        return ValueRefused(what, why="Snowflake refused a value", where=where, rule="unrepresentable")
    if (
        number in SESSION_OVER
        or number in BUSY
        or isinstance(
            error,
            errors.OperationalError
            | errors.InterfaceError
            | errors.InternalServerError
            | errors.ServiceUnavailableError,
        )
    ):
        return TargetUnavailable(what, why=text or "it does not answer", where=where)
    if number in (3001, 3041):
        hint = "grant it to the role (`cdc check` says what is needed)"
        return TargetError(what, why=f"the role may not do this: {text}", where=where, hint=hint)
    return TargetError(what, why=text, where=where)


def cause(error: Exception) -> Exception | None:
    """What may be chained: not the messages that quote values."""
    return None if getattr(error, "errno", 0) in ABOUT_VALUES or "Conversion Error" in str(error) else error


def _text(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(getattr(error, "raw_msg", None) or error))[:300]
