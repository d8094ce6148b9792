"""Fold: a run of events becomes, per table, the least work that leaves a warehouse as if each had been applied in turn.

For a table with a key, only the last state of each key matters: a whole row, a partial row (some cells unsent), or gone.
For a table without one, equal rows are counted: inserted ones up, deleted ones down. Truncate empties the target and what was
folded before it. When a table changes its shape, a new merge begins; merges are applied in the order given.

Pure: no IO, no clock. Proved in tests/property against a dict that applies the events one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from cdc.errors import DecodeError
from cdc.events import (
    DELETE,
    INSERT,
    READ,
    TRUNCATE,
    UNSENT,
    UPDATE,
    Change,
    Chunk,
    Event,
    Row,
    Truncate,
)
from cdc.merge import Folding, Shaping, Step
from cdc.merge import Key as Key
from cdc.merge import Merge as Merge
from cdc.merge import Patch as Patch
from cdc.schema import Table

OPERATIONS = (INSERT, UPDATE, DELETE, TRUNCATE, READ)


class Plain:
    """Every table as it is in the source."""

    def folding(self, table: Table) -> Folding:
        return Keyed(table) if table.key else Keyless(table)

    def chunk(self, chunk: Chunk) -> list[Merge]:
        return [Merge(chunk.table, truncate=chunk.first, chunk=chunk, counts={READ: chunk.rows})]

    def step(self, merge: Merge) -> Step | None:  # noqa: ARG002
        return None

    def anew(self, table: Table) -> list[Merge]:  # noqa: ARG002
        return []

    def learn(self, controls: Mapping[str, bytes]) -> None:
        """Nothing is remembered."""

    def is_mending(self, table: Table) -> bool:  # noqa: ARG002
        return False

    def may_gather(self, table: Table) -> bool:  # noqa: ARG002
        return True

    def learned(self) -> Mapping[str, bytes]:
        return {}


PLAIN = Plain()


def fold(events: Iterable[Event], shaping: Shaping = PLAIN) -> list[Merge]:
    """The merges for these events, in the order in which they must be applied (tables are otherwise independent)."""
    merges: list[Merge] = []
    folding: dict[tuple[str, str], Folding] = {}
    last_table: Table | None = None
    change: Callable[[Change], None] = _unreachable
    for event in events:
        if isinstance(event, Change):
            if event.table is not last_table:
                last_table = event.table
                change = _enter(folding, last_table, merges, shaping).change
            change(event)
        elif isinstance(event, Truncate):
            _enter(folding, event.table, merges, shaping).truncate(event)
            last_table = None
        elif isinstance(event, Chunk):
            _leave(folding, event.table, merges)
            last_table = None
            merges += shaping.chunk(event)
    for state in folding.values():
        merges += state.merges()
    return merges


def _unreachable(event: Change) -> None:
    raise AssertionError(event.table.full_name)


def _enter(
    folding: dict[tuple[str, str], Folding], table: Table, merges: list[Merge], shaping: Shaping
) -> Folding:
    name = (table.schema, table.name)
    state = folding.get(name)
    if state is not None and state.table is not table and state.table.fingerprint != table.fingerprint:
        _leave(folding, table, merges)
        state = None
    if state is None:
        state = folding[name] = shaping.folding(table)
    return state


def _leave(folding: dict[tuple[str, str], Folding], table: Table, merges: list[Merge]) -> None:
    state = folding.pop((table.schema, table.name), None)
    if state is not None:
        merges += state.merges()


def key_getter(table: Table) -> Any:
    """Row → what stands for its key in a dict: the cell itself for one column, a tuple for more."""
    return itemgetter(*table.key)


class Keyed:
    """The last state of each key. `rows[key]` is a row, or None for a deleted key."""

    def __init__(self, table: Table, target: Table | None = None) -> None:
        self.table = table
        self.target = target or table
        self.key_of = key_getter(table)
        self.truncated = False
        self.counts = dict.fromkeys(OPERATIONS, 0)
        self.rows: dict[Any, Row | None] = {}
        self.origin: dict[Any, Any] = {}  # of partial rows: the key that the target knows the row by

    def truncate(self, _event: Truncate) -> None:
        self.truncated = True
        self.counts[TRUNCATE] += 1
        self.rows.clear()
        self.origin.clear()

    def change(self, event: Change) -> None:
        rows, new = self.rows, event.new
        self.counts[event.op] += 1
        if new is None:
            assert event.old is not None
            key = self.key_of(event.old)
            rows[key] = None
            self.origin.pop(key, None)
            return
        key = self.key_of(new)
        old_key = key if event.old is None or event.op == INSERT else self.key_of(event.old)
        if UNSENT in new:
            new = self._complete(new, key, old_key)
        else:
            self.origin.pop(key, None)
        if old_key != key:
            rows[old_key] = None
            self.origin.pop(old_key, None)
        rows[key] = new

    def _complete(self, new: Row, key: Any, old_key: Any) -> Row:
        """Fill the unsent cells from the row as it stands in this fold; what is still unsent is the target's."""
        before = self.rows.get(old_key)
        if before is not None:
            new = [b if n is UNSENT else n for n, b in zip(new, before, strict=True)]
        if UNSENT in new:
            self.origin[key] = self.origin.get(old_key, old_key)
        else:
            self.origin.pop(key, None)
        return new

    def merges(self) -> list[Merge]:
        merge = Merge(self.target, truncate=self.truncated, counts=self.counts, of=self.table)
        single = len(self.table.key) == 1
        if self.origin:
            merge.patches = [
                Patch(self.rows[key], (origin,) if single else origin)  # type: ignore[arg-type]
                for key, origin in self.origin.items()
            ]
            partial = self.origin
            merge.upserts = [row for key, row in self.rows.items() if row is not None and key not in partial]
        else:
            merge.upserts = [row for row in self.rows.values() if row is not None]
        gone = [key for key, row in self.rows.items() if row is None]
        merge.deletes = [(key,) for key in gone] if single else gone
        return [merge]


class Keyless:
    """How many copies of each whole row came and went."""

    def __init__(self, table: Table, target: Table | None = None) -> None:
        self.table = table
        self.target = target or table
        self.truncated = False
        self.counts = dict.fromkeys(OPERATIONS, 0)
        self.count: dict[Row, int] = {}

    def truncate(self, _event: Truncate) -> None:
        self.truncated = True
        self.counts[TRUNCATE] += 1
        self.count.clear()

    def change(self, event: Change) -> None:
        count = self.count
        self.counts[event.op] += 1
        if event.old is not None and event.op not in (INSERT, READ):
            row = self.whole(event.old)
            count[row] = count.get(row, 0) - 1
        elif event.op not in (INSERT, READ):
            raise self._partial()
        if event.op != DELETE and event.new is not None:
            row = self.whole(event.new)
            count[row] = count.get(row, 0) + 1

    def whole(self, row: Row) -> Row:
        if UNSENT in row:
            raise self._partial()
        return tuple(row)

    def _partial(self) -> DecodeError:
        return DecodeError(
            "a row without key came without its old values",
            where=self.table.full_name,
            why="the table has no key and its replica identity is not FULL",
            hint=f"alter table {self.table.full_name} replica identity full, or add a primary key",
        )

    def merges(self) -> list[Merge]:
        merge = Merge(self.target, truncate=self.truncated, counts=self.counts, of=self.table)
        merge.removals = {row: -n for row, n in self.count.items() if n < 0}
        merge.inserts = [row for row, n in self.count.items() for _ in range(n)]
        return [merge]


def row_count(merges: Sequence[Merge]) -> int:
    """How many rows these merges touch."""
    return sum(
        len(m.upserts)
        + len(m.patches)
        + len(m.deletes)
        + len(m.inserts)
        + sum(m.removals.values())
        + (m.chunk.rows if m.chunk else 0)
        for m in merges
    )
