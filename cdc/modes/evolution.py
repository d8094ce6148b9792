"""Columns that the source renamed or dropped, told by their attribute numbers from one shape of a table to the next.

What a warehouse knows of a table's columns is a control record of its own, durable with the rows. The stream says names; the
numbers come from the catalog, which may be ahead of it. So nothing is done about a column in doubt: the reader has such a
table copied anew (`cdc.reshape`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from cdc.merge import Alteration, DropColumn, DropDefault, RenameColumn, Step
from cdc.modes.shape import Shape
from cdc.schema import Column, LogicalType, Table

PREFIX, ASIDE = "columns:", "aside:"


class Known(msgspec.Struct, frozen=True):
    """A column of the source that the target has. `number`: 0 if it is not known."""

    number: int
    type: LogicalType


class Evolution:
    """Of all tables of a warehouse. `name` gives a column's name in the target, `noted` is told what is done to a table."""

    def __init__(
        self,
        controls: Mapping[str, bytes],
        name: Callable[[str], str],
        noted: Callable[[str, str], None],
    ) -> None:
        self._name = name
        self._noted = noted
        self._aside = {
            key: msgspec.json.decode(value, type=list[tuple[str, str]])
            for key, value in controls.items()
            if key.startswith(ASIDE)
        }
        self._begin(controls)

    def _begin(self, controls: Mapping[str, bytes]) -> None:
        self._known = {
            key.removeprefix(PREFIX): msgspec.json.decode(value, type=dict[str, Known])
            for key, value in controls.items()
            if key.startswith(PREFIX)
        }
        self._seen: dict[str, Table] = {}
        self._changed: dict[str, bytes] = {}
        self._done: set[str] = set()

    def redo(self, controls: Mapping[str, bytes]) -> None:
        """The warehouse has taken back all that these control records do not tell of."""
        self._begin(controls)

    def put_aside(self, table: Table, column: str, *, drop: bool) -> bool:
        """Have a column of the target, whose type does not fit, dropped or renamed before rows of this shape come."""
        key = _aside_key(table)
        to = "" if drop else f"{column}__{table.fingerprint[:8]}"
        if (column, to) in self._aside.get(key, []):
            return False
        self._aside[key] = [*self._aside.get(key, []), (column, to)]
        return True

    def pending(self) -> dict[str, bytes]:
        """What is to be put aside and was not yet, as control records."""
        return {key: msgspec.json.encode(columns) for key, columns in self._aside.items() if columns}

    def step(self, shape: Shape) -> Step | None:
        """What is to be done before rows of this shape come; None: nothing."""
        table = shape.source
        name = table.full_name
        if self._seen.get(name) is table:
            return None
        self._seen[name] = table
        known = self._known.get(name, {})
        now = {
            column.name: Known(column.attnum or _number(known, column.name), column.type)
            for column in table.columns
        }
        doubt = any(not column.attnum for column in table.columns)
        renamed = {} if doubt else _renamed(known, now)
        gone = [each for each in known if each not in now and each not in renamed]
        dropped = [] if doubt else [each for each in gone if _is_dropped(known[each].number, table)]
        kept = {each: known[each] for each in gone if each not in dropped}
        if (after := {**kept, **now}) != known:
            self._known[name] = after
            self._changed[PREFIX + name] = msgspec.json.encode(after)
        aside = self._put_aside(shape)
        step = self._decided(shape, known, renamed, dropped)
        if not aside:
            return step
        return replace(step or Step([]), aside=aside)

    def _put_aside(self, shape: Shape) -> list[Alteration]:
        key = _aside_key(shape.source)
        alterations: list[Alteration] = []
        for column, to in self._aside.get(key, []):
            what = f"its values are kept in {to}" if to else "the copy made anew replaces its values"
            self._noted(
                shape.source.full_name, f"column {column} could not take the source's new type: {what}"
            )
            alterations += [DropDefault(column), RenameColumn(column, to)] if to else [DropColumn(column)]
        if alterations:
            self._done.add(key)
            self._changed[key] = b"[]"
        return alterations

    def _decided(
        self, shape: Shape, known: Mapping[str, Known], renamed: Mapping[str, str], dropped: list[str]
    ) -> Step | None:
        alterations: list[Alteration] = []
        name, policy = shape.source.full_name, shape.rules.dropped_columns
        for old, new in renamed.items():
            alterations.append(RenameColumn(self._name(old), self._name(new)))
            self._noted(name, f"column {old} is now called {new}: it was renamed")
        emptied = []
        for each in dropped:
            said = {
                "keep": "its values are kept",
                "null": "its values are now NULL",
                "drop": "it was dropped",
            }
            self._noted(name, f"column {each} was dropped in the source: {said[policy]}")
            kept = policy == "keep"
            alterations.append(DropDefault(self._name(each)) if kept else DropColumn(self._name(each)))
            if policy == "null":
                emptied.append(Column(self._name(each), known[each].type))
        if not alterations:
            return None
        columns = (*shape.target.columns, *emptied)
        return Step(alterations, replace(shape.target, columns=columns) if emptied else None)

    def learned(self) -> dict[str, bytes]:
        for key in self._done:
            self._aside.pop(key, None)
        self._done = set()
        changed, self._changed = self._changed, {}
        return changed


def _aside_key(table: Table) -> str:
    return f"{ASIDE}{table.full_name}:{table.fingerprint}"


def _number(known: Mapping[str, Known], name: str) -> int:
    return known[name].number if name in known else 0


def _is_dropped(number: int, table: Table) -> bool:
    """The catalog says so. A number that it does not have may be of a later column: the shape may be older than what the
    target has, as it comes from another partition."""
    return -number in table.catalog


def _renamed(known: Mapping[str, Known], now: Mapping[str, Known]) -> dict[str, str]:
    """Old names and new ones, of columns for which neither means another column before or after."""
    numbers = {each.number: name for name, each in known.items() if each.number}
    found = {numbers[each.number]: name for name, each in now.items() if each.number in numbers}
    return {old: new for old, new in found.items() if old not in now and new not in known}
