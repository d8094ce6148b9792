"""Transactions that wrote to a table before its copy was to begin, and are still open.

What they wrote before the publication named the table is not streamed, even if they commit later; only a snapshot taken after
their end shows it. When the publication came to name it is not known (an attempt may have ended just then, or somebody else
has done it), so a copy waits at every start for those that are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from cdc.source.connect import Connection, Side
from cdc.source.publication import TableName

log = structlog.get_logger()

LOOK_SECONDS = 0.05
TELL_SECONDS = 5.0

# Of a partitioned table, what is locked by a writer is the partition, too.
WRITERS = """
    with tree as (
        select name, tree.relid from unnest(%s::text[]) as name, lateral (
            select to_regclass(name)::oid as relid union all
            select relid::oid from pg_partition_tree(to_regclass(name))) as tree)
    select tree.name, locks.virtualtransaction, locks.pid from pg_locks locks
    join tree on locks.relation = tree.relid
    where locks.locktype = 'relation' and locks.granted and locks.mode = any(%s)
      and locks.pid is distinct from pg_backend_pid()
      and locks.database = (select oid from pg_database where datname = current_database())"""
WRITER_LOCKS = ["RowExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"]


class Writers:
    """Waits for nothing itself: it is asked again and again. For one thread."""

    def __init__(self, side: Side, clock: Callable[[], float] = time.monotonic) -> None:
        self._side = side
        self._clock = clock
        self._waiting: dict[TableName, set[str] | None] = {}
        self._looked = float("-inf")
        self._told = clock()

    def add(self, name: TableName) -> None:
        """Its writers of this moment, or of one soon after, are those to wait for."""
        self._waiting[name] = None
        self._looked = float("-inf")

    def are_over(self, name: TableName) -> bool:
        """Have all ended?"""
        if name in self._waiting and self._clock() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock()
            self._side.run("cannot look for open transactions", self._look)
        return name not in self._waiting

    def _look(self, connection: Connection) -> None:
        names = {name.quoted: name for name in self._waiting}
        rows = connection.execute(WRITERS, [list(names), WRITER_LOCKS]).fetchall()
        now: dict[TableName, set[str]] = {name: set() for name in self._waiting}
        for quoted, transaction, _ in rows:
            now[names[quoted]].add(transaction)
        for name, before in list(self._waiting.items()):
            left = now[name] if before is None else before & now[name]
            if left:
                self._waiting[name] = left
            else:
                del self._waiting[name]
        if self._waiting and self._clock() - self._told > TELL_SECONDS:
            self._told = self._clock()
            pids = sorted(
                {pid for quoted, transaction, pid in rows if self._waits_for(names[quoted], transaction)}
            )
            log.info(
                "copy_waits",
                tables=[str(name) for name in self._waiting],
                pids=pids,
                why="open transactions wrote",
            )

    def _waits_for(self, name: TableName, transaction: str) -> bool:
        return transaction in (self._waiting.get(name) or ())
