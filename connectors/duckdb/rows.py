"""Rows of cells, and a snapshot's CSV, as Arrow columns of text that DuckDB reads without copying.

The loops over cells are pyarrow's and `zip`'s; only arrays are looked at in Python.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cdc.errors import ValueRefused
from cdc.events import UNSENT, Cell, Row
from connectors.duckdb import copied
from connectors.duckdb.sql import Plan
from connectors.sql.arrays import Unlistable, flat, to_json

LIST = pa.list_(pa.string())
FEW = 1000  # rows


class Range(NamedTuple):
    """Of a column's numbers."""

    lowest: int
    highest: int


def _range(texts: Any) -> Range | None:
    try:
        numbers = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    if numbers.null_count or not len(numbers):
        return None
    ends = pc.min_max(numbers).as_py()
    return Range(ends["min"], ends["max"])


def _range_of_few(cells: Sequence[Cell]) -> Range | None:
    try:
        numbers = [int(cell) for cell in cells]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return Range(min(numbers), max(numbers))


class Columns:
    """Columns under construction, named as `sql.Plan` expects. `nulled` counts arrays replaced by NULL, per column.

    `usual`: the texts of all columns are (see `ColumnType`).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.arrays: list[Any] = []
        self.names: list[str] = []
        self.nulled: dict[int, int] = {}
        self.usual = False
        self.ranges: dict[int, Range | None] = {}

    def table(self) -> Any:
        return pa.table(self.arrays, self.names)

    def add(self, name: str, values: Any) -> None:
        self.arrays.append(values)
        self.names.append(name)

    def column(self, index: int) -> Any:
        """A column's texts, or its values if it comes as such."""
        values = f"v{index}"
        return self.arrays[self.names.index(values if values in self.names else f"c{index}")]

    def range_of(self, index: int) -> Range | None:
        """Of a column that was added before; None if it has other texts, or NULLs, or nothing."""
        if index not in self.ranges:
            self.ranges[index] = _range(self.column(index))
        return self.ranges[index]

    def number(self) -> None:
        """Add `n`, which counts the rows from 0."""
        self.add("n", pa.array(range(len(self.arrays[0])), pa.int64()))

    def add_cells(self, index: int, cells: Sequence[Cell], letter: str = "c") -> None:
        """A column of PostgreSQL's text."""
        self.add(f"{letter}{index}", self.cells(index, cells))

    def cells(self, index: int, cells: Sequence[Cell]) -> Any:
        """PostgreSQL's texts of a column."""
        kind = self.plan.columns[index].array
        if kind == "list":
            return pa.array(self._taken_apart(index, cells, flat), pa.list_(pa.binary())).cast(LIST)
        if kind == "json":
            element = self.plan.table.columns[index].type.element
            name = element.kind if element else ""
            cells = self._taken_apart(index, cells, lambda cell: to_json(cell, name))
        try:
            return pa.array(cells, pa.binary()).cast(
                pa.string()
            )  # twice as fast as string at once; the cast checks UTF-8
        except pa.ArrowInvalid:
            raise _not_utf8(f"{self.plan.table.full_name}.{self.plan.table.columns[index].name}") from None

    def _taken_apart(self, index: int, cells: Sequence[Cell], take: Any) -> list[Any]:
        taken: list[Any] = []
        for cell in cells:
            try:
                taken.append(None if cell is None else take(cell))
            except Unlistable as error:
                if not self.plan.may_null(index):
                    raise _refused_array(self.plan, index, str(error)) from None
                self.nulled[index] = self.nulled.get(index, 0) + 1
                taken.append(None)
        return taken

    def add_csv(self, data: bytes, texts: Collection[int]) -> None:
        """All columns of a chunk (see `cdc.events.Chunk`), those of `texts` as text."""
        try:
            parsed = copied.read(self.plan, data, texts)
        except pa.ArrowInvalid:
            raise _not_utf8(self.plan.table.full_name) from None
        for index, (name, column) in enumerate(zip(parsed.column_names, parsed.columns, strict=True)):
            if self.plan.columns[index].array:
                self.add_cells(index, column.cast(pa.binary()).to_pylist())
            else:
                self.add(name, column)

    @property
    def ready(self) -> frozenset[int]:
        """The columns that are values."""
        return frozenset(int(name[1:]) for name in self.names if name[0] == "v")


def _not_utf8(where: str) -> ValueRefused:
    return ValueRefused(
        "text is not UTF-8",
        rule="encoding",
        why="the source's database has the encoding SQL_ASCII, which lets anything in",
        hint="mend those rows in the source, or leave the column out by [source] exclude_columns",
        where=where,
    )


def whole_rows(plan: Plan, rows: Sequence[Row]) -> Columns:
    """Rows in which every cell was sent."""
    columns = Columns(plan)
    if len(rows) <= FEW:
        few = list(_transposed(rows))
        columns.usual = all(kept.is_usual(cells) for kept, cells in zip(plan.columns, few, strict=True))
        if (texts := _texts(plan, few)) is not None:
            for index in range(len(few)):
                columns.add(f"c{index}", texts[index * len(rows) : (index + 1) * len(rows)])
            columns.ranges = {index: _range_of_few(few[index]) for index in plan.numbered}
            return columns
    for index, cells in enumerate(_transposed(rows)):
        columns.add_cells(index, cells)
    return columns


def _texts(plan: Plan, cells: Sequence[Sequence[Cell]]) -> Any:
    """All cells in one array, column by column: of few rows, that is half the time of an array for each; None if it cannot be."""
    if any(kept.array for kept in plan.columns):
        return None
    try:
        return pa.array(list(chain.from_iterable(cells)), pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8: of a single column it can be told which one
        return None


def counted_rows(plan: Plan, rows: dict[Row, int]) -> Columns:
    """Whole rows, each with a number `n`."""
    columns = whole_rows(plan, list(rows))
    columns.add("n", pa.array(rows.values(), pa.int64()))
    return columns


def partial_rows(plan: Plan, rows: Sequence[Row], origins: Sequence[Row]) -> tuple[Columns, set[int]]:
    """Rows with unsent cells, numbered, and the columns that any of them lacks."""
    columns = Columns(plan)
    unsent: set[int] = set()
    for index, cells in enumerate(_transposed(rows)):
        if UNSENT in cells:
            unsent.add(index)
            columns.add(f"u{index}", pa.array([cell is UNSENT for cell in cells]))
            cells = [None if cell is UNSENT else cell for cell in cells]
        columns.add_cells(index, cells)
    for index, cells in zip(plan.table.key, _transposed(origins), strict=True):
        columns.add_cells(index, cells, letter="o")
    columns.number()
    return columns, unsent


def keys(plan: Plan, keys: Sequence[Row], of: Sequence[Columns]) -> Columns:
    """Keys to delete: those given, and those of columns made before."""
    columns = Columns(plan)
    for place, index in enumerate(plan.table.key):
        parts = [other.column(index) for other in of]
        if keys:
            parts.append(columns.cells(index, [key[place] for key in keys]))
        chunks = _chunks(parts)
        columns.add(f"c{index}", chunks[0] if len(chunks) == 1 else pa.chunked_array(chunks))
    return columns


def _chunks(arrays: Iterable[Any]) -> list[Any]:
    return [
        chunk
        for array in arrays
        for chunk in (array.chunks if isinstance(array, pa.ChunkedArray) else [array])
    ]


def _transposed(rows: Sequence[Row]) -> Iterable[Sequence[Cell]]:
    """Columns of rows: slices of one flat list, half the time of `zip(*rows)`, which makes an iterator per row."""
    flat_cells = list(chain.from_iterable(rows))
    width = len(rows[0])
    return (flat_cells[index::width] for index in range(width))


def _refused_array(plan: Plan, index: int, what: str) -> ValueRefused:
    table, column = plan.table, plan.table.columns[index]
    return ValueRefused(
        f"{what} has no place in a column of type {plan.columns[index].sql}",
        rule="arrays",
        where=f"{table.full_name}.{column.name}",
        hint=f'under the warehouse, columns."{table.full_name}.{column.name}" = "VARCHAR" keeps PostgreSQL\'s text',
    )
