"""What is told of rows that were left out: in the table `_cdc_dead_letters`, or on a topic (`cdc.wire.letters`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cdc.events import Row
from cdc.lsn import Position
from cdc.merge import Merge
from cdc.modes.names import DEAD_LETTERS
from cdc.modes.stamp import TEXT, TIME, position_text, time_text
from cdc.schema import Column, Table

LAST = 0xFFFFFFFFFF  # the highest ordinal that a position's text has a place for
COLUMNS = tuple(
    Column(name, TIME if name == "at" else TEXT, nullable=name not in ("table", "key", "position"))
    for name in ("table", "key", "position", "reason", "row", "at")
)


@dataclass(frozen=True)
class Letter:
    """Of one row of a table of the source. `values` are its cells in that table's shape, whatever may be told of them.

    `key` tells which row it is, and `told` its values (None: they must not be told), both as JSON. `position` is that of the
    change that made it so; a replay comes to the same.
    """

    table: Table
    values: Row
    key: bytes
    hidden: bool
    told: bytes | None
    position: Position
    reason: str
    column: str
    at_us: int

    @property
    def place(self) -> bytes:
        """The position as a text that sorts. A copy's rows stand behind the transaction that it was read after."""
        return position_text(self.position.commit_lsn, min(self.position.ordinal, LAST))


def letters_table(schema: str) -> Table:
    """In this schema of the target."""
    return Table(schema, DEAD_LETTERS, COLUMNS, primary_key=(0, 1, 2), identity=(0, 1, 2))


def in_table(schema: str, letters: Iterable[Letter]) -> Merge:
    """Tells them there."""
    rows = [
        (
            *(each.table.full_name.encode(), each.key, each.place),
            *(each.reason.encode(), each.told, time_text(each.at_us)),
        )
        for each in letters
    ]
    return Merge(letters_table(schema), upserts=list(rows))


def answered(schema: str, table: str) -> list[Merge]:
    """Removes all that is told of a table of the source."""
    return [Merge(letters_table(schema), clear=(0, table.encode()))]
