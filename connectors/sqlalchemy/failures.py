"""SQLAlchemy's errors, classified once: what may pass, what a person must mend, which are about a value.

Drivers quote values in their messages (of refused values, of double keys), so those are not passed on, nor are they chained.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import exc

from cdc.errors import CdcError, TargetError, TargetUnavailable, ValueRefused
from cdc.secret import hide_passwords

PASSING = {  # MariaDB's and MySQL's numbers
    1040: "it has too many connections",
    1053: "it is shutting down",
    1205: "somebody else has locked what is to be written",
    1213: "it ended the transaction because of a deadlock",
    1317: "the statement was interrupted",
    1412: "a table was altered meanwhile",
    1927: "it ended the connection",
    2002: "it cannot be reached",
    2003: "it cannot be reached",
    2006: "the connection was lost",
    2013: "the connection was lost",
}
TOO_LARGE = (1153, 2020)  # max_allowed_packet
ABOUT_VALUES = {1048, 1062, 1264, 1265, 1292, 1366, 1367, 1406}
BUSY = ("database is locked", "database table is locked", "database is busy")


def classify(error: exc.SQLAlchemyError, *, what: str, where: str) -> CdcError:
    """The error for a person; what is not known to pass by itself is not tried again."""
    number, text = number_of(error), _text(error)
    if number in PASSING:
        return TargetUnavailable(what, why=PASSING[number], where=where)
    if getattr(error, "connection_invalidated", False):
        return TargetUnavailable(what, why="the connection was lost", where=where)
    if any(part in text for part in BUSY):
        hint = "end what else writes to it, or raise lock_timeout"
        return TargetUnavailable(what, why="another process has locked the file", where=where, hint=hint)
    if number in TOO_LARGE:
        hint = "raise max_allowed_packet in the server's configuration"
        return TargetError(what, why="a row is larger than the server takes", where=where, hint=hint)
    if number in ABOUT_VALUES or isinstance(error, exc.DataError):
        return ValueRefused(what, why="the target refused a value", where=where, rule="unrepresentable")
    if isinstance(error, exc.IntegrityError):
        return TargetError(what, why="rows break a constraint that the target has of its own", where=where)
    if number in (1044, 1045, 1142, 1227):
        hint = "grant it: create, alter, drop, select, insert, update, delete"
        return TargetError(what, why=f"the user may not do this: {text}", where=where, hint=hint)
    if isinstance(error, exc.InterfaceError):
        return TargetUnavailable(what, why=text, where=where)
    if isinstance(error, exc.OperationalError) and not number and "sqlite" not in type(error.orig).__module__:
        return TargetUnavailable(what, why=text, where=where)
    return TargetError(what, why=text, where=where)


def cause(error: exc.SQLAlchemyError) -> Exception | None:
    """What may be chained: not the messages that quote values."""
    about_values = number_of(error) in ABOUT_VALUES or isinstance(error, exc.DataError | exc.IntegrityError)
    return None if about_values else error


def number_of(error: exc.SQLAlchemyError) -> int:
    """MariaDB's number; 0 without one."""
    given: tuple[Any, ...] = getattr(getattr(error, "orig", None), "args", ())
    return given[0] if given and isinstance(given[0], int) else 0


def _text(error: exc.SQLAlchemyError) -> str:
    """The driver's message, in one line."""
    orig = getattr(error, "orig", None)
    given: tuple[Any, ...] = getattr(orig, "args", ())
    text = str(given[1] if len(given) > 1 else orig or error)
    return hide_passwords(re.sub(r"\s+", " ", text))[:500]
