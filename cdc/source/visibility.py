"""Which transactions a snapshot of PostgreSQL shows. Pure.

A commit can reach the stream before other sessions see it (with synchronous replication, long before), so a chunk read on a
side connection is believed only when its snapshot shows every transaction that the stream has already given.

Text form: `xmin:xmax:xip,xip,…` (PostgreSQL documentation, "pg_snapshot Components"). Those are 64-bit ids; the stream's are
the lower 32 bits, which wrap around.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

WRAP = 1 << 32

UNSEEN = "a committed transaction is not visible to other sessions yet: it waits for a synchronous standby"
UNSEEN_STANDBY = "the standby of [snapshot] dsn has not replayed all that the stream has given"


class Snapshot(NamedTuple):
    """`xmin`: all below are finished; `xmax`: none from here on; `running`: those between that are not."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read `pg_current_snapshot()::text`. Raises ValueError."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def full_xid(self, xid: int) -> int:
        """The 64-bit id nearest to this snapshot that ends in the 32 bits `xid`."""
        full = (self.xmax & ~(WRAP - 1)) | xid
        if full > self.xmax + WRAP // 2:
            full -= WRAP
        elif full < self.xmax - WRAP // 2:
            full += WRAP
        return full

    def shows(self, xid: int) -> bool:
        """Is this transaction (32 bits) finished in the snapshot?"""
        full = self.full_xid(xid)
        return full < self.xmax and full not in self.running

    def shows_all(self, xids: Iterable[int]) -> bool:
        return all(self.shows(xid) for xid in xids)

    def forget_shown(self, xids: set[int]) -> None:
        """Drop the transactions that this snapshot shows: every later one does, too."""
        xids.difference_update([xid for xid in xids if self.shows(xid)])

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"
