"""What is known of the targets without asking them: which have no rows, and above which numbers no key of theirs is.

To look for keys costs about as much as to write a hundred rows. Most keys that are inserted come from a sequence: they are
above all that the target has, whatever was replayed or copied before, and need not be looked for.
"""

from __future__ import annotations

from typing import Any

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
        asked = self._alone and plan.highest
        found = self._statements.run(plan.highest if asked else plan.is_empty)[0]
        self.forget(plan.target)
        if found[0] is None if asked else found[0]:
            self._empty.add(plan.target)
        elif asked:
            self._highest[plan.target] = list(found)

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
        highest = []
        for place, index in enumerate(plan.numbered):
            numbers = _numbers(rows, index)
            if numbers is None:
                return
            most = pc.max(numbers).as_py()
            highest.append(max(most, before[place]) if before else most)
        self._highest[plan.target] = highest

    def sought(self, plan: Plan, keys: Columns) -> Columns | None:
        """Those of the keys that the target may have; None: none of them."""
        if plan.target in self._empty:
            return None
        above = None
        for index, most in zip(plan.numbered, self._highest.get(plan.target, ()), strict=False):
            numbers = _numbers(keys, index)
            if numbers is None:
                return keys
            found = pc.min_max(numbers).as_py()
            if found["min"] > most:
                return None
            if found["max"] > most:
                higher = pc.greater(numbers, most)
                above = higher if above is None else pc.or_(above, higher)
        if above is None:
            return keys
        kept = Columns(plan)
        for index in plan.table.key:
            name = f"c{index}"
            kept.add(name, keys.named(name).filter(pc.invert(above)))
        return kept if len(kept.arrays[0]) else None


def _numbers(keys: Columns, index: int) -> Any:
    """A column of a key as numbers; None if that is not what its texts are, which the statements will refuse."""
    try:
        numbers = keys.named(f"c{index}").cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return numbers if len(numbers) and not numbers.null_count else None
