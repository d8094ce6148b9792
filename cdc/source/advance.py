"""Has the slot go on without being read, for a line that has given up what it would have read."""

from __future__ import annotations

from typing import NamedTuple

from cdc.lsn import Lsn, format_lsn, parse_lsn
from cdc.source.connect import Connection
from cdc.source.slot import read_slot


class Goal(NamedTuple):
    """Every transaction that commits below `lsn` has an id (xid) below `before`."""

    lsn: Lsn
    before: int


def advance_slot(connection: Connection, name: str, goal: Goal | None) -> Goal:
    """Advance the slot to the goal once other sessions see all that commits below it; gives the goal for the next call.

    A copy that begins later may then rely on it: what the slot has left out, every snapshot shows.
    """
    slot = read_slot(connection, name)
    found = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    if goal is not None and found is not None and int(found[0]) < goal.before:
        return goal
    if goal is not None and slot is not None and goal.lsn > slot.confirmed_lsn:
        connection.execute("select pg_replication_slot_advance(%s, %s::pg_lsn)", [name, format_lsn(goal.lsn)])
    # Two statements: the ids are asked for once the place is known.
    at = connection.execute("select pg_current_wal_flush_lsn()::text").fetchone()
    before = connection.execute("select pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    assert at is not None
    assert before is not None
    return Goal(parse_lsn(at[0]), int(before[0]))
