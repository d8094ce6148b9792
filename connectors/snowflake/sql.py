"""The statements that keep one target table in sync, as text, written once per shape of the table.

Rows of a merge are staged as text, in columns C0, C1, … for the table's columns, O0, … for the key that the target knows a
partial row by, UNSENT for the places of its unsent columns (`,2,5,`), OP for what to do (u, d, p, r), and N for a number. What
must be completed from the target's rows is put aside in a table of the target's own columns, before anything is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cdc.events import UNSENT, Row
from cdc.schema import Table
from connectors.snowflake.types import ColumnType
from connectors.sql import comma, qualified, quote
from connectors.sql.altering import check_moved

UPSERT, DELETE, PATCH, REMOVE = "u", "d", "p", "r"


def literal(text: str) -> str:
    """A string literal: backslashes escape in Snowflake."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def constant(kept: ColumnType, staged: str) -> str:
    """A value as Snowflake takes it for a default: dates and times are read from their text by the column's type."""
    if kept.sql == "BINARY":
        return f"X'{staged}'"
    if (
        kept.sql.startswith("NUMBER")
        or kept.sql == "BOOLEAN"
        or (kept.sql == "FLOAT" and staged[-1].isdigit())
    ):
        return staged
    return literal(staged)


@dataclass(frozen=True)
class Plan:
    """How rows of one shape of a table are written. `columns` are in the order of `table.columns`; `types` are those of all
    columns of the target, which has `extras` beside ours: they keep their values."""

    table: Table
    metadata: str
    columns: tuple[ColumnType, ...]
    extras: tuple[tuple[str, str], ...] = ()

    @cached_property
    def target(self) -> str:
        return qualified(self.table.schema, self.table.name)

    @property
    def types(self) -> tuple[str, ...]:
        return tuple([kept.sql for kept in self.columns])

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(map(quote, self.table.column_names))

    @cached_property
    def extra_names(self) -> tuple[str, ...]:
        return tuple(quote(name) for name, _ in self.extras)

    @cached_property
    def _digest(self) -> str:
        shape = repr((self.table.full_name, self._aside_columns, len(self.columns), self.table.key))
        return hashlib.blake2b(shape.encode(), digest_size=8).hexdigest()

    @cached_property
    def stage(self) -> str:
        return qualified(self.metadata, f"stage_{self._digest}")

    @cached_property
    def aside(self) -> str:
        return qualified(self.metadata, f"aside_{self._digest}")

    @cached_property
    def _aside_columns(self) -> list[str]:
        types = [*(kept.sql for kept in self.columns), *(sql for _, sql in self.extras)]
        return [f"A{index} {sql}" for index, sql in enumerate(types)]

    @cached_property
    def create(self) -> list[str]:
        """The tables that the others need. Their names have the shape in them, so they never have another."""
        staged = [f"C{i} VARCHAR" for i in range(len(self.columns))] + [
            f"O{i} VARCHAR" for i in self.table.key
        ]
        staged += ["UNSENT VARCHAR", "OP VARCHAR", "N NUMBER(19,0)"]
        aside = [*self._aside_columns, "N NUMBER(19,0)", "COPY NUMBER(19,0)", "COPIES NUMBER(19,0)"]
        make = "CREATE TRANSIENT TABLE IF NOT EXISTS"
        return [f"{make} {self.stage} ({comma(staged)})", f"{make} {self.aside} ({comma(aside)})"]

    def load(self, index: int, letter: str = "s.C") -> str:
        return self.columns[index].load_of(f"{letter}{index}")

    def copy(self, place: str) -> str:
        """From the stage into the staging table. Parquet tells NULL from an empty text; a file is taken once."""
        return (
            f"COPY INTO {self.stage} FROM {place} FILE_FORMAT = (TYPE = PARQUET)"
            " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE ON_ERROR = ABORT_STATEMENT"
        )

    @cached_property
    def clear_stage(self) -> str:
        return f"DELETE FROM {self.stage}"

    @cached_property
    def clear_aside(self) -> str:
        return f"DELETE FROM {self.aside}"

    @cached_property
    def truncate(self) -> str:
        return f"DELETE FROM {self.target}"

    def retire(self, cells: Row) -> str:
        """Write the sent cells into every live row."""
        values = comma(
            f"{name} = {kept.load_of('NULL' if cell is None else literal(kept.stage(cell)))}"
            for cell, kept, name in zip(cells, self.columns, self.names, strict=True)
            if cell is not UNSENT
        )
        return f"UPDATE {self.target} SET {values} WHERE {quote(self.table.live)} IS NULL"

    def clear(self, index: int, cell: bytes) -> str:
        """Remove the rows that have this text in a column."""
        return f"DELETE FROM {self.target} WHERE {self.names[index]} = {literal(cell.decode())}"

    @cached_property
    def complete(self) -> str:
        """Partial rows, completed from the target's."""
        mine = [
            f"CASE WHEN POSITION(',{i},', s.UNSENT) > 0 THEN t.{name} ELSE {self.load(i)} END"
            for i, name in enumerate(self.names)
        ]
        values = comma([*mine, *(f"t.{name}" for name in self.extra_names), "s.N"])
        on = " AND ".join(f"t.{self.names[i]} = {self.load(i, 's.O')}" for i in self.table.key)
        into = comma([*(f"A{i}" for i in range(len(self.names) + len(self.extras))), "N"])
        return (
            f"INSERT INTO {self.aside} ({into}) SELECT {values} FROM {self.stage} s"
            f" JOIN {self.target} t ON {on} WHERE s.OP = '{PATCH}'"
        )

    @cached_property
    def incomplete(self) -> str:
        """The numbers of partial rows of which the target has no other half."""
        return (
            f"SELECT s.N FROM {self.stage} s WHERE s.OP = '{PATCH}'"
            f" AND s.N NOT IN (SELECT a.N FROM {self.aside} a) ORDER BY 1"
        )

    @cached_property
    def merge(self) -> str:
        """Whole rows and deletes."""
        loads = [f"{self.load(i)} AS V{i}" for i in range(len(self.names))]
        rows = f"SELECT {comma([*loads, 's.OP AS OP'])} FROM {self.stage} s WHERE s.OP IN ('{UPSERT}', '{DELETE}')"
        return self._merged(
            rows, self.names, f"WHEN MATCHED AND s.OP = '{DELETE}' THEN DELETE ", f"AND s.OP = '{UPSERT}' "
        )

    @cached_property
    def merge_completed(self) -> str:
        """Rows put aside, with the target's own columns."""
        names = (*self.names, *self.extra_names)
        rows = f"SELECT {comma(f'a.A{i} AS V{i}' for i in range(len(names)))} FROM {self.aside} a"
        return self._merged(rows, names, "", "")

    def _merged(self, rows: str, names: Sequence[str], first: str, condition: str) -> str:
        on = " AND ".join(f"t.{self.names[i]} = s.V{i}" for i in self.table.key)
        others = [i for i in range(len(names)) if i not in self.table.key] or list(self.table.key)
        changes = comma(f"{names[i]} = s.V{i}" for i in others)
        return (
            f"MERGE INTO {self.target} t USING ({rows}) s ON {on} {first}"
            f"WHEN MATCHED {condition}THEN UPDATE SET {changes} "
            f"WHEN NOT MATCHED {condition}THEN INSERT ({comma(names)}) VALUES ({comma(f's.V{i}' for i in range(len(names)))})"
        )

    @cached_property
    def insert(self) -> str:
        """All whole rows, where nothing can be in their place."""
        values = comma(self.load(i) for i in range(len(self.names)))
        return f"INSERT INTO {self.target} ({comma(self.names)}) SELECT {values} FROM {self.stage} s WHERE s.OP = '{UPSERT}'"

    @cached_property
    def remove(self) -> list[str]:
        """N copies of each row to remove: those equal to it are put aside and numbered, deleted, and the rest put back."""
        names = (*self.names, *self.extra_names)
        same = " AND ".join(
            f"{self._compared(i, f't.{name}')} IS NOT DISTINCT FROM {self._compared(i, self.load(i))}"
            for i, name in enumerate(self.names)
        )
        # Rows to remove are different from each other, but equal ones may be staged for different reasons.
        wanted = f"{self.stage} s WHERE s.OP = '{REMOVE}' AND {same}"
        columns = comma(f"A{i}" for i in range(len(names)))
        told = comma(f"t.{name}" for name in names)
        texts = comma(f"s.C{i}" for i in range(len(self.names)))
        return [
            f"INSERT INTO {self.aside} ({columns}, COPY, COPIES) SELECT {told},"
            f" ROW_NUMBER() OVER (PARTITION BY {texts} ORDER BY s.N), s.N FROM {self.target} t, {wanted}",
            f"DELETE FROM {self.target} t USING {wanted}",
            f"INSERT INTO {self.target} ({comma(names)}) SELECT {columns} FROM {self.aside} WHERE COPY > COPIES",
        ]

    @cached_property
    def removed(self) -> str:
        """How many rows `remove` has found to remove."""
        return f"SELECT COUNT(*) FROM {self.aside} WHERE COPY <= COPIES"

    def _compared(self, index: int, value: str) -> str:
        return value if self.columns[index].exact else f"TO_VARCHAR({value})"

    def take(self, other: Plan, *, is_empty: bool) -> Iterator[str]:
        """Upsert the rows of another table with the same columns, or add them where there is no key."""
        check_moved(self.table, self.types, other.types)
        source = other.target
        if self.table.key and not is_empty:
            rows = f"SELECT {comma(f'o.{name} AS V{i}' for i, name in enumerate(self.names))} FROM {source} o"
            yield self._merged(rows, self.names, "", "")
        else:
            yield f"INSERT INTO {self.target} ({comma(self.names)}) SELECT {comma(self.names)} FROM {source}"
        yield f"DELETE FROM {source}"
