"""What has been done to a target since its last commit, so that it can be done again: for targets whose DDL ends a transaction.

A table that rows of the open transaction have touched cannot be altered beside it: the DDL would commit them without their
position (or wait for them for ever). So the transaction is taken back, the table altered, and what had been done is done again.
What is kept is bounded: once there is more, the caller gets a TargetUnavailable and begins again from the last commit, when the
table is altered already. Either way rows become durable only with their position, wherever the process dies.
"""

from __future__ import annotations

from collections.abc import Callable

from cdc.errors import TargetUnavailable
from cdc.fold import row_count
from cdc.merge import Merge

MOST_ROWS = 200_000


class Redo:
    """`add` every merge that was applied; `clear` at each end of a transaction."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most = most_rows
        self._rows = 0
        self._merges: list[Merge] | None = []
        self._touched: set[str] = set()

    def add(self, merge: Merge) -> None:
        self._touched.add(merge.table.full_name)
        self._rows += row_count([merge])
        if self._merges is not None:
            self._merges.append(merge)
            if self._rows > self._most:
                self._merges = None

    def clear(self) -> None:
        self._rows, self._merges = 0, []
        self._touched.clear()

    def is_touched(self, full_name: str) -> bool:
        """Whether rows of the open transaction are in this table."""
        return full_name in self._touched

    def again(self, apply: Callable[[Merge], object], where: str) -> None:
        """After a roll back: do it all again, or say that the caller has to."""
        merges = self._merges
        self.clear()
        if merges is None:
            raise TargetUnavailable(
                "the table was altered in the middle of a large transaction, which begins again",
                why="the target's DDL does not take part in transactions",
                where=where,
            )
        for merge in merges:
            apply(merge)
