"""The table `_cdc_dead_letters`, which tells of rows that were left out: its shape, and how what it says of a table ends."""

from __future__ import annotations

from cdc.merge import Merge
from cdc.modes.names import DEAD_LETTERS
from cdc.modes.stamp import TEXT, TIME
from cdc.schema import Column, Table

COLUMNS = tuple(
    Column(name, TIME if name == "at" else TEXT, nullable=name not in ("table", "key", "position"))
    for name in ("table", "key", "position", "reason", "row", "at")
)


def letters_table(schema: str) -> Table:
    """In this schema of the target."""
    return Table(schema, DEAD_LETTERS, COLUMNS, primary_key=(0, 1, 2), identity=(0, 1, 2))


def answered(schema: str, table: str) -> list[Merge]:
    """Removes all that is told of a table of the source."""
    return [Merge(letters_table(schema), clear=(0, table.encode()))]
