"""What has been done to a target since its last commit, so that it can be done again: for targets whose DDL ends a transaction.

A table that rows of the open transaction have touched cannot be altered beside it: the DDL would commit them without their
position (or wait for them for ever). So the transaction is taken back, the table altered, and what had been done is done again.
What is kept is bounded: once there is more, the caller gets a TargetUnavailable and begins again from the last commit, when the
table is altered already. Either way rows become durable only with their position, wherever the process dies. Rows of the shape
before are written as the target has the table by then (`connectors.sql.ahead`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from cdc.errors import TargetUnavailable
from cdc.fold import row_count
from cdc.merge import Alteration, Merge
from cdc.schema import Table

MOST_ROWS = 200_000


Step: TypeAlias = Merge | tuple[Table, Sequence[Alteration]]


class Doing(Protocol):
    """What it is done again by; `cdc.interfaces.Warehouse` is one."""

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None: ...
    def evolve(self, table: Table) -> None: ...
    def apply(self, merge: Merge) -> object: ...


class Redo:
    """`add` every merge that was applied, and `altered` tables; `clear` at each end of a transaction."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most = most_rows
        self._rows = 0
        self._steps: list[Step] | None = []
        self._touched: set[str] = set()

    def add(self, merge: Merge) -> None:
        self._touched.add(merge.table.full_name)
        self._rows += row_count([merge])
        self._add(merge)

    def altered(self, table: Table, alterations: Sequence[Alteration]) -> None:
        self._add((table, alterations))

    def _add(self, step: Step) -> None:
        if self._steps is not None:
            self._steps.append(step)
            if self._rows > self._most:
                self._steps = None

    def clear(self) -> None:
        self._rows, self._steps = 0, []
        self._touched.clear()

    def is_touched(self, full_name: str) -> bool:
        """Whether rows of the open transaction are in this table."""
        return full_name in self._touched

    def again(self, by: Doing, where: str) -> None:
        """After a roll back: do it all again, or say that the caller has to."""
        steps = self._steps
        self.clear()
        if steps is None:
            raise TargetUnavailable(
                "the table was altered in the middle of a large transaction, which begins again",
                why="the target's DDL does not take part in transactions",
                where=where,
            )
        for step in steps:
            if isinstance(step, Merge):
                by.evolve(step.table)
                by.apply(step)
            else:
                by.alter(*step)
