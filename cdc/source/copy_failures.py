"""What becomes of a table whose copy failed: it is tried again, or set aside with a reason and what mends it."""

from __future__ import annotations

from typing import NamedTuple

import psycopg
from psycopg import errors

from cdc.errors import CdcError
from cdc.source.publication import TableName


class Verdict(NamedTuple):
    """Why the table is set aside, and what a person can do."""

    reason: str
    mend: str


AGAIN = Verdict("", "")
"""Nothing is wrong with the table: somebody alters it at this moment, or a standby needed to go on."""

PASSING = (errors.LockNotAvailable, errors.SerializationFailure, errors.DeadlockDetected)
EVERYTHING = (
    "08",
    "57P",
    "53300",
)  # SQLSTATEs of a connection that is lost or cannot be had: not the table's fault
CHOSEN = "mend [snapshot] where or statements, then"


def judge(error: CdcError, table: TableName, *, chosen: bool) -> Verdict | None:
    """None: the failure concerns more than this table. `chosen`: a condition or statement of the user's was in it."""
    cause = error.__cause__
    again = f"`cdc snapshot {table}`"
    if not isinstance(cause, psycopg.Error):
        return None if error.retriable else Verdict(str(error), again)
    if isinstance(cause, PASSING):
        return AGAIN
    if cause.sqlstate is None or cause.sqlstate.startswith(EVERYTHING):
        return None
    if isinstance(cause, errors.UndefinedTable | errors.InvalidSchemaName) and not chosen:
        mend = f"take it out of [source] tables, or create it again, then {again}"
        return Verdict("the table was dropped while it was copied", mend)
    if isinstance(cause, errors.InsufficientPrivilege):
        return Verdict(
            str(error), f"`grant select on {table.quoted} to` the role of [source] dsn, then {again}"
        )
    if chosen:
        return Verdict(str(error), f"{CHOSEN} {again}")
    return Verdict(str(error), again)
