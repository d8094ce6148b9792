"""Rows of our own records back to cells: the plan that wrote them, read backwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from cdc.events import UNSENT, Cell
from cdc.format import FormatSettings
from cdc.schema import FULL, Table
from cdc.wire.back import Back, back_of
from cdc.wire.json_text import NULL
from cdc.wire.names import Topics
from cdc.wire.plan import Plan

Values = Mapping[str, msgspec.Raw]


class OwnTable:
    """One table's rows. A column that a record leaves out was not sent."""

    def __init__(self, table: Table, settings: FormatSettings, topics: Topics) -> None:
        self.table = table
        fields = Plan(table, settings, topics).value_fields
        known = range(len(table.columns)) if table.replica_identity == FULL else table.identity
        self._columns: list[tuple[str, Back, bool] | None] = [None] * len(table.columns)
        for field in fields:
            column = table.columns[field.index]
            back = back_of(column.type, field.lane.schema, settings.binary_handling_mode)
            self._columns[field.index] = (field.name, back, field.index in known)

    def new(self, values: Values, unsent: Collection[str] = ()) -> tuple[Cell, ...]:
        """A row as it is now; `unsent` names columns that show a placeholder."""
        return tuple(
            [
                UNSENT if column is None or column[0] in unsent else _cell(values, column[0], column[1])
                for column in self._columns
            ]
        )

    def old(self, values: Values) -> tuple[Cell, ...]:
        """A row as it was: what is outside of the replica identity was never sent, whatever stands there."""
        return tuple(
            [
                _cell(values, column[0], column[1]) if column is not None and column[2] else UNSENT
                for column in self._columns
            ]
        )


def _cell(values: Values, name: str, back: Back) -> Cell:
    raw = values.get(name)
    if raw is None:
        return UNSENT
    text = bytes(raw)
    return None if text == NULL else back(text)
