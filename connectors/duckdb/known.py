"""What is known of the targets without asking them: which have no rows, and above which numbers no key of theirs is.

To look for keys costs about as much as to write a hundred rows. Most keys that are inserted come from a sequence: they are
above all that the target has, whatever was replayed or copied before, and need not be looked for.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from connectors.duckdb.prepared import Statements
from connectors.duckdb.rows import Columns
from connectors.duckdb.sql import Plan


class Known:
    """Of targets that nobody else writes to; `alone`: that is so, else it is just known which were empty at first."""

    def __init__(self, statements: Statements, *, alone: bool) -> None:
        self._statements = statements
        self._alone = alone
        self._empty: set[str] = set()
        self._highest: dict[str, list[int]] = {}  # of each of `Plan.numbered`

    def look(self, plan: Plan) -> None:
        """Ask the target once."""
        [(empty, *highest)] = self._statements.run(plan.highest if self._alone else plan.is_empty)
        self.forget(plan.target)
        if empty:
            self._empty.add(plan.target)
        elif highest and None not in highest:  # a key of a column that older rows do not have yet
            self._highest[plan.target] = highest

    def forget(self, target: str | None = None) -> None:
        """Of one target, or of all."""
        if target is None:
            self._empty.clear()
            self._highest.clear()
        else:
            self._empty.discard(target)
            self._highest.pop(target, None)

    def is_empty(self, target: str) -> bool:
        return target in self._empty

    def emptied(self, target: str) -> None:
        self._empty.add(target)
        self._highest.pop(target, None)

    def inserted(self, plan: Plan, rows: Columns) -> None:
        """Rows with these keys are in the target now, or may be."""
        was_empty = plan.target in self._empty
        self._empty.discard(plan.target)
        before = self._highest.pop(plan.target, None)
        if not self._alone or not plan.numbered or not (was_empty or before):
            return
        found = [rows.range_of(index) for index in plan.numbered]
        highest = [each.highest for each in found if each is not None]
        if len(highest) == len(found):
            self._highest[plan.target] = [*map(max, highest, before)] if before else highest

    def has_none(self, plan: Plan, keys: Columns) -> bool:
        """Whether the target has none of these keys for sure."""
        if plan.target in self._empty:
            return True
        for index, most in zip(plan.numbered, self._highest.get(plan.target, ()), strict=False):
            found = keys.range_of(index)
            if found is not None and found.lowest > most:
                return True
        return False

    def sought(self, plan: Plan, keys: Columns) -> Columns | None:
        """Those of the keys that the target may have; None: none of them."""
        if self.has_none(plan, keys):
            return None
        above = None
        for index, most in zip(plan.numbered, self._highest.get(plan.target, ()), strict=False):
            found = keys.range_of(index)
            if found is not None and found.highest > most:
                higher = pc.greater(keys.column(index).cast(pa.int64()), most)
                above = higher if above is None else pc.or_(above, higher)
        if above is None:
            return keys
        kept = Columns(plan)
        for index in plan.table.key:
            kept.add(f"c{index}", keys.column(index).filter(pc.invert(above)))
        return kept if len(kept.arrays[0]) else None
