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
    """The value of the control record `parked:<schema>.<table>`. `rows`: left out so far; `reason` is empty if only rows are.

    `mending`: it was parked, and is being copied anew. What it has is old by then, so its rows are replaced at once and not
    gathered beside it.
    """

    reason: str = ""
    since_lsn: str = ""
    rows: int = 0
    mending: bool = False


def parked_tables(controls: Mapping[str, bytes]) -> dict[str, Parked]:
    """What the control records of a warehouse say."""
    return {
        key.removeprefix(PREFIX): msgspec.json.decode(value, type=Parked)
        for key, value in controls.items()
        if key.startswith(PREFIX) and value
    }


class Parking:
    """Of one warehouse. `told` hears of each table that is parked, and why."""

    def __init__(self, controls: Mapping[str, bytes], told: Callable[[str, str], None]) -> None:
        self._known = parked_tables(controls)
        self._told = told
        self._changed: dict[str, bytes] = {}

    def is_parked(self, table: str) -> bool:
        known = self._known.get(table)
        return known is not None and bool(known.reason)

    def park(self, table: str, reason: str, lsn: str) -> None:
        rows = self._known.get(table, Parked()).rows
        self._set(table, Parked(reason, lsn, rows))
        self._told(table, reason)

    def count(self, table: str, rows: int) -> None:
        """Rows were left out."""
        known = self._known.get(table, Parked())
        self._set(table, msgspec.structs.replace(known, rows=known.rows + rows))

    def is_mending(self, table: str) -> bool:
        known = self._known.get(table)
        return known is not None and known.mending

    def mend(self, table: str, *, first: bool, last: bool) -> None:
        """A chunk of it comes, the first or the last of a copy perhaps."""
        known = self._known.get(table)
        if known is None or not (first or last):
            return
        if first and (known.reason or known.mending) and not last:
            self._set(table, Parked(mending=True))
        elif first or (last and known.mending):
            del self._known[table]
            self._changed[PREFIX + table] = b""

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

    def __init__(self, table: Table, resume: Callable[[], Folding | None]) -> None:
        self.table = table
        self._resume = resume
        self._resumed: Folding | None = None

    def change(self, event: Change) -> None:
        if self._resumed is not None:
            self._resumed.change(event)

    def truncate(self, event: Truncate) -> None:
        self._resumed = self._resumed or self._resume()
        if self._resumed is not None:
            self._resumed.truncate(event)

    def merges(self) -> list[Merge]:
        return self._resumed.merges() if self._resumed is not None else []
