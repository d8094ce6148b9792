"""Tables that a warehouse has set aside, and rows that it has left out, because it refused a value: remembered durably.

A parked table stays as it was at the last commit; its changes are left out until it is copied anew or emptied, which ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from cdc.events import Change, Truncate
from cdc.merge import Folding, Merge
from cdc.schema import Table

PREFIX = "parked:"


class Parked(msgspec.Struct, frozen=True):
    """The value of the control record `parked:<schema>.<table>`. `rows`: left out so far, of which `in_topic` are told on a
    topic and not in the table of letters; `reason` is empty if only rows are.

    `mending`: it was parked, and is being copied anew. What it has is old by then, so its rows are replaced at once and not
    gathered beside it.
    """

    reason: str = ""
    since_lsn: str = ""
    rows: int = 0
    mending: bool = False
    in_topic: int = 0


def parked_tables(controls: Mapping[str, bytes]) -> dict[str, Parked]:
    """What the control records of a warehouse say."""
    return {
        key.removeprefix(PREFIX): msgspec.json.decode(value, type=Parked)
        for key, value in controls.items()
        if key.startswith(PREFIX) and value
    }


class Parking:
    """Of one warehouse. `told` hears of each table that is parked, and why, `mended` of rows that will come again."""

    def __init__(
        self,
        controls: Mapping[str, bytes],
        told: Callable[[str, str], None],
        mended: Callable[[str, int], None] = lambda _table, _rows: None,
    ) -> None:
        self._told_again = mended
        self._known = parked_tables(controls)
        self._told = told
        self._changed: dict[str, bytes] = {}

    def learn(self, controls: Mapping[str, bytes]) -> None:
        """What the warehouse has by now, written by another applier perhaps; what is to be written here counts more."""
        for key, parked in controls.items():
            table = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and key not in self._changed:
                self._known.pop(table, None)
                if parked:
                    self._known[table] = msgspec.json.decode(parked, type=Parked)

    def is_parked(self, table: str) -> bool:
        known = self._known.get(table)
        return known is not None and bool(known.reason)

    def park(self, table: str, reason: str, lsn: str) -> None:
        known = self._known.get(table, Parked())
        self._set(table, Parked(reason, lsn, known.rows, in_topic=known.in_topic))
        self._told(table, reason)

    def count(self, table: str, rows: int, *, in_topic: bool = False) -> None:
        """Rows were left out."""
        known = self._known.get(table, Parked())
        told = known.in_topic + rows * in_topic
        self._set(table, msgspec.structs.replace(known, rows=known.rows + rows, in_topic=told))

    def is_mending(self, table: str) -> bool:
        known = self._known.get(table)
        return known is not None and known.mending

    def in_table(self, table: str) -> int:
        """Rows of it that were left out since its last copy began, and are told in the table of letters."""
        known = self._known.get(table, Parked())
        return known.rows - known.in_topic

    def mend(self, table: str, *, first: bool, last: bool) -> None:
        """A chunk of it comes, the first or the last of a copy perhaps. Whatever was left out before comes again."""
        known = self._known.get(table)
        if known is None or not (first or last):
            return
        if first and known.rows:
            self._told_again(table, known.rows)
        if first and (known.reason or known.mending) and not last:
            self._set(table, Parked(mending=True))
        elif first or (last and known.mending and not known.rows):
            del self._known[table]
            self._changed[PREFIX + table] = b""
        elif last and known.mending:
            self._set(table, Parked(rows=known.rows, in_topic=known.in_topic))

    def _set(self, table: str, parked: Parked) -> None:
        self._known[table] = parked
        self._changed[PREFIX + table] = msgspec.json.encode(parked)

    def pending(self) -> dict[str, bytes]:
        """What `learned` will say."""
        return dict(self._changed)

    def learned(self) -> dict[str, bytes]:
        changed, self._changed = self._changed, {}
        return changed


class LeftOut:
    """Folds the changes of a parked table to nothing, until it is emptied: then nothing of it is old, and `resume` goes on.

    So begins a copy, too, where it comes as changes over a log.
    """

    def __init__(self, table: Table, resume: Callable[[], tuple[list[Merge], Folding] | None]) -> None:
        self.table = table
        self._resume = resume
        self._before: list[Merge] = []
        self._resumed: Folding | None = None

    def change(self, event: Change) -> None:
        if self._resumed is not None:
            self._resumed.change(event)

    def truncate(self, event: Truncate) -> None:
        if self._resumed is None and (found := self._resume()):
            self._before, self._resumed = found
        if self._resumed is not None:
            self._resumed.truncate(event)

    def merges(self) -> list[Merge]:
        return [*self._before, *self._resumed.merges()] if self._resumed is not None else []
