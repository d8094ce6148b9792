"""A merge's rows as a Parquet file of text columns, which Snowflake's COPY takes: compressed, and NULL is not an empty text."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from cdc.errors import ValueRefused
from cdc.events import UNSENT, Cell, Row
from cdc.merge import Merge
from cdc.schema import Table
from cdc.wire.csv_rows import read_rows
from connectors.snowflake.sql import DELETE, PATCH, REMOVE, UPSERT, Plan
from connectors.sql.values import Unkeepable

log = logging.getLogger(__name__)


class Staged:
    """Rows under construction. `nulled` counts values replaced by NULL, per column."""

    def __init__(self, plan: Plan, name: str, null_if_refused: bool) -> None:
        self.plan = plan
        self._name = name
        self._null_if_refused = null_if_refused
        self.nulled: dict[int, int] = {}
        width = len(plan.columns)
        self._columns: list[list[str | None]] = [[] for _ in range(width)]
        self._origins: list[list[str | None]] = [[] for _ in plan.table.key]
        self._unsent: list[str | None] = []
        self._ops: list[str] = []
        self._numbers: list[int] = []

    def add(self, merge: Merge) -> None:
        """Everything of a merge but its truncation."""
        whole = read_rows(merge.chunk.csv) if merge.chunk is not None else merge.upserts or merge.inserts
        self._rows(list(whole), UPSERT)
        self._rows([_of_key(merge.table, key) for key in merge.deletes], DELETE)
        self._rows(list(merge.removals), REMOVE, list(merge.removals.values()))
        if merge.patches:
            unsent = [_places(patch.row) for patch in merge.patches]
            rows = [[None if cell is UNSENT else cell for cell in patch.row] for patch in merge.patches]
            self._rows(rows, PATCH, unsent=unsent, origins=[patch.origin for patch in merge.patches])

    def _rows(
        self,
        rows: Sequence[Row],
        op: str,
        numbers: Sequence[int] = (),
        unsent: Sequence[str] = (),
        origins: Sequence[Row] = (),
    ) -> None:
        if not rows:
            return
        for index, cells in enumerate(zip(*rows, strict=True)):
            self._columns[index] += self._staged(index, cells)
        for place, index in enumerate(self.plan.table.key):
            given: Iterable[Cell] = [origin[place] for origin in origins] or [None] * len(rows)
            self._origins[place] += self._staged(index, list(given))
        self._unsent += unsent or [None] * len(rows)
        self._ops += [op] * len(rows)
        self._numbers += numbers or range(len(rows))

    def _staged(self, index: int, cells: Sequence[Cell]) -> list[str | None]:
        stage = self.plan.columns[index].stage
        try:
            return [None if cell is None else stage(cell) for cell in cells]  # type: ignore[arg-type]
        except ValueError:
            return [self._one(index, cell) for cell in cells]

    def _one(self, index: int, cell: Cell) -> str | None:
        if cell is None or cell is UNSENT:
            return None
        try:
            return self.plan.columns[index].stage(cell)
        except UnicodeDecodeError:
            raise self._refused(index, "text that is not UTF-8", "encoding") from None
        except Unkeepable as odd:
            if self._null_if_refused and index not in self.plan.table.key:
                self.nulled[index] = self.nulled.get(index, 0) + 1
                return None
            raise self._refused(index, str(odd), "unrepresentable") from None

    def _refused(self, index: int, odd: str, rule: str) -> ValueRefused:
        table, column = self.plan.table, self.plan.table.columns[index]
        full = f"{table.full_name}.{column.name}"
        hint = f'[warehouses.{self._name}.columns] "{full}" = "VARCHAR" keeps PostgreSQL\'s text'
        if rule == "encoding":
            hint = "mend those rows in the source, or leave the column out by [source] exclude_columns"
        elif "largest_value" in odd:
            hint = "leave the column out by [source] exclude_columns, or raise largest_value if the account takes more"
        elif index not in table.key:
            hint += f', [warehouses.{self._name}] unrepresentable = "null" stores NULL'
        return ValueRefused(
            f"a value cannot be kept as {self.plan.columns[index].sql} unaltered: {odd}",
            rule=rule,
            why=f"the column is {column.type_name or column.type.kind} in the source",
            where=full,
            hint=hint,
        )

    def __len__(self) -> int:
        return len(self._ops)

    def warn(self) -> None:
        """Of values that became NULL."""
        for index, count in self.nulled.items():
            log.warning(
                "%s: %d values of column %s could not be kept as %s and became NULL, by the rule unrepresentable",
                *(
                    self.plan.table.full_name,
                    count,
                    self.plan.table.columns[index].name,
                    self.plan.columns[index].sql,
                ),
            )

    def write(self, path: Path) -> None:
        named: dict[str, pa.Array] = {
            f"C{i}": pa.array(cells, pa.string()) for i, cells in enumerate(self._columns)
        }
        for place, index in enumerate(self.plan.table.key):
            named[f"O{index}"] = pa.array(self._origins[place], pa.string())
        named |= {"UNSENT": pa.array(self._unsent, pa.string()), "OP": pa.array(self._ops, pa.string())}
        named["N"] = pa.array(self._numbers, pa.int64())
        parquet.write_table(pa.table(named), path, compression="zstd")


def _of_key(table: Table, key: Row) -> Row:
    """A row of which only the key is known."""
    cells: list[Cell] = [None] * len(table.columns)
    for index, cell in zip(table.key, key, strict=True):
        cells[index] = cell
    return cells


def _places(row: Row) -> str:
    return "," + "".join(f"{index}," for index, cell in enumerate(row) if cell is UNSENT)
