"""Shedding load: what keeps the slot from advancing is set aside, so that the source's disk does not fill.

Two steps, asked for by the guard (`cdc.guard`) under the policy `park`:

    a table that its warehouse is stuck in, or takes longest for   → parked there, at the start of the next attempt
    a warehouse that does not answer, or is stuck with all that    → left behind: attempts go on without it

A warehouse that was left behind is asked now and then whether it answers. The next attempt then finds that the slot is ahead of
it, and parks all its tables. So nothing has to be remembered elsewhere, and a restart at any moment comes to the same.

Only the embedded line can shed: over a log, appliers do not hold the slot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from cdc.errors import TargetUnavailable

TAKE_UP = (
    60.0  # seconds that a warehouse may take to have a table parked; after that it is left behind itself
)


class Shed(TargetUnavailable):
    """Ends an attempt, for one that has less to do."""


class _At(msgspec.Struct):
    """Which table a warehouse is at (empty: none, it commits), and since when."""

    table: str
    since: float


class Shedding:
    """Of one daemon, over all its attempts; any thread."""

    def __init__(
        self, warehouses: Iterable[str], *, enabled: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.enabled = enabled
        self._clock = clock
        self._lock = threading.Lock()
        self._names = list(warehouses)
        self._at: dict[str, _At] = {}
        self._spent: dict[str, dict[str, float]] = {name: {} for name in self._names}
        self._wanted: dict[str, tuple[str, str, float]] = {}  # a table to be parked, why, since when
        self._parked: set[tuple[str, str]] = set()
        self._failed = ""
        self._left: dict[str, str] = {}
        self.abandon: Callable[[str], None] = lambda _: None
        """Of the attempt that runs: ends it, without waiting for a warehouse."""

    # what warehouses do

    def turns_to(self, warehouse: str, table: str | None) -> None:
        """It turns to a table, to a commit (empty), or is done with its batch. After an error it counts as being there still."""
        with self._lock:
            self._spend(warehouse)
            if table is None:
                del self._at[warehouse]
                self._failed = "" if self._failed == warehouse else self._failed
            else:
                self._at[warehouse] = _At(table, self._clock())

    def _spend(self, warehouse: str) -> None:
        if (at := self._at.get(warehouse)) is not None:
            now, spent = self._clock(), self._spent[warehouse]
            spent[at.table] = spent.get(at.table, 0.0) + now - at.since
            at.since = now

    def failed(self, warehouse: str, *, opening: bool = False) -> None:
        """It has ended an attempt, or would not even be opened."""
        with self._lock:
            self._failed = warehouse
            if opening:
                self._at.pop(warehouse, None)
                self._spent[warehouse].clear()

    # what the guard wants

    def shed(self, reason: str, waiting: Mapping[str, int]) -> str:
        """Take a step, which is told in words; empty if no warehouse is to blame. `waiting`: bytes on their way to each."""
        with self._lock:
            warehouse = self._slowest(waiting)
            if not warehouse:
                return ""
            wanted = self._wanted.get(warehouse)
            table = self._stuck_in(warehouse)
            if wanted is None and table and (warehouse, table) not in self._parked:
                self._wanted[warehouse] = table, reason, self._clock()
                return f"table {table} is parked in {warehouse}"
            if wanted is not None and self._clock() - wanted[2] < TAKE_UP:
                return f"{warehouse} has yet to park {wanted[0]}"
            self._left[warehouse] = reason
            self._wanted.pop(warehouse, None)
            self._at.pop(warehouse, None)
            self._failed = ""
        self.abandon(warehouse)
        return f"warehouse {warehouse} is left behind"

    def _slowest(self, waiting: Mapping[str, int]) -> str:
        """Who holds up the others: whoever ends attempts, or has most to do."""
        if self._failed:
            return "" if self._failed in self._left else self._failed
        most = {name: size for name, size in waiting.items() if size and name not in self._left}
        return max(most, key=most.__getitem__, default="")

    def _stuck_in(self, warehouse: str) -> str:
        """The table that it is at, or else has been at for longest since the last step."""
        self._spend(warehouse)
        spent = self._spent[warehouse]
        self._spent[warehouse] = {}
        return max(spent, key=spent.__getitem__, default="")

    # what attempts ask

    def is_wanted(self, warehouse: str) -> bool:
        """Is a table to be parked there?"""
        return warehouse in self._wanted

    def take(self, warehouse: str) -> tuple[str, str] | None:
        """The table to park there now, and why."""
        wanted = self._wanted.get(warehouse)
        return wanted and wanted[:2]

    def taken(self, warehouse: str) -> None:
        """It is parked, durably."""
        with self._lock:
            table = self._wanted.pop(warehouse)[0]
            self._parked.add((warehouse, table))
            self._failed = ""

    def copied(self, tables: Iterable[str]) -> None:
        """A person has them copied anew: they are given another chance."""
        again = set(tables)
        with self._lock:
            self._parked = {(name, table) for name, table in self._parked if table not in again}

    @property
    def left(self) -> Mapping[str, str]:
        """The warehouses that are left behind, and why."""
        return dict(self._left)

    @property
    def nobody(self) -> bool:
        """Are all of them?"""
        return bool(self._names) and set(self._names) == set(self._left)

    def back(self, warehouse: str) -> None:
        """It answers again."""
        with self._lock:
            self._left.pop(warehouse, None)
            self._failed = ""
