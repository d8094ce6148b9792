"""The statements that keep one target table in sync, as text, written once per shape of the table.

Rows come as views over Arrow columns of text: `c0`, `c1`, … for the table's columns, `o0`, … for the key that the target knows a
partial row by, `u3` for "column 3 was not sent", `n` for a number; a snapshot's may be `v0`, `v1`, …, which are values. Casts are
in the statements. The target declares no key: the fold gives distinct ones, and a delete with an insert is faster and needs less
memory than an index and a MERGE.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from cdc.events import UNSENT, Row
from cdc.schema import Table
from connectors.duckdb.types import ColumnType
from connectors.sql import comma, literal, qualified, quote

STAGE = "temp.main._cdc_stage"
INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")


@dataclass(frozen=True)
class Plan:
    """How rows of one shape of a table are written. Lists of `columns` are in the order of `table.columns`.

    `extras` are columns that only the target has, with their defaults: dropped in the source, or of a newer shape. They keep
    their values.
    """

    table: Table
    database: str
    columns: tuple[ColumnType, ...]
    extras: tuple[tuple[str, str | None], ...] = ()
    null_if_refused: bool = False

    @cached_property
    def target(self) -> str:
        return qualified(self.database, self.table.schema, self.table.name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(map(quote, self.table.column_names))

    @property
    def types(self) -> tuple[str, ...]:
        return tuple([kept.sql for kept in self.columns])

    def load(self, index: int, letter: str = "c", *, usual: bool = False) -> str:
        """The expression for the value of a column; a key is never replaced by NULL."""
        value = self.columns[index].load_of(f"b.{letter}{index}", usual=usual)
        return f"TRY({value})" if self.may_null(index) else value

    def may_null(self, index: int) -> bool:
        """Whether a value that this column cannot hold becomes NULL."""
        return self.null_if_refused and index not in self.table.key and self.columns[index].load != "{x}"

    @cached_property
    def may_be_nulled(self) -> tuple[int, ...]:
        return tuple(index for index in range(len(self.columns)) if self.may_null(index))

    def count_nulled(self, view: str) -> str:
        """How many texts of each of these columns become NULL; empty if there are no such columns."""
        counts = [
            f"count(*) FILTER (b.c{i} IS NOT NULL AND TRY({self.columns[i].load_of(f'b.c{i}')}) IS NULL)"
            for i in self.may_be_nulled
        ]
        return f"SELECT {comma(counts)} FROM {view} AS b" if counts else ""

    @cached_property
    def unread(self) -> set[int]:
        """Columns in which a snapshot had text that only DuckDB's cast reads, or refuses (see `copied`)."""
        return set()

    @cached_property
    def truncate(self) -> str:
        return f"DELETE FROM {self.target}"

    @cached_property
    def numbered(self) -> tuple[int, ...]:
        """The columns of the key that hold integers."""
        return tuple(i for i in self.table.key if self.columns[i].sql in INTEGERS)

    @cached_property
    def highest(self) -> str:
        """Asks whether the target is empty, and for the highest number in each of those columns."""
        highest = "".join(f", max({self.names[i]})" for i in self.numbered)
        return f"SELECT count(*) = 0{highest} FROM {self.target}"

    @cached_property
    def is_empty(self) -> str:
        return f"SELECT NOT EXISTS (FROM {self.target})"

    def retire(self, cells: Row) -> list[str]:
        """Write the sent cells into every live row. Not in place: that would hold both versions in memory until the commit."""
        live = quote(self.table.live)
        values = comma(
            f"{kept.load_of('NULL' if cell is None else f'({literal(cell.decode())})')} AS {name}"
            for cell, kept, name in zip(cells, self.columns, self.names, strict=True)
            if cell is not UNSENT
        )
        return [
            f"CREATE OR REPLACE TEMP TABLE _cdc_stage AS SELECT * REPLACE ({values}) FROM {self.target} WHERE {live} IS NULL",
            f"DELETE FROM {self.target} WHERE {live} IS NULL",
            f"INSERT INTO {self.target} BY NAME FROM {STAGE}",
        ]

    def clear(self, index: int, cell: bytes) -> str:
        """Remove the rows that have this text in a column."""
        return f"DELETE FROM {self.target} WHERE {self.names[index]} = {literal(cell.decode())}"

    def has(self, other: Table) -> str:
        """Is this other table of the target there?"""
        where = zip(
            ("database_name", "schema_name", "table_name"),
            (self.database, other.schema, other.name),
            strict=True,
        )
        same = " AND ".join(f"{name} = {literal(value)}" for name, value in where)
        return f"SELECT count(*) > 0 FROM duckdb_tables() WHERE {same}"

    def place_of(self, other: Table) -> str:
        return qualified(self.database, other.schema, other.name)

    def take(self, other: Table) -> list[str]:
        """Move the rows of another table of these columns here, and drop it."""
        rows = self.place_of(other)
        names = comma(self.names)
        return [f"INSERT INTO {self.target} ({names}) SELECT {names} FROM {rows}", f"DROP TABLE {rows}"]

    def delete_taken(self, other: Table) -> str:
        """Delete the rows with the keys of another table's."""
        rows = self.place_of(other)
        on = " AND ".join(f"t.{self.names[i]} = o.{self.names[i]}" for i in self.table.key)
        return f"DELETE FROM {self.target} AS t USING {rows} AS o WHERE {on}"

    def delete(self, view: str) -> str:
        """Delete the rows with the keys in a view of the key's columns."""
        keys = comma(f"{self.load(i)} AS k{i}" for i in self.table.key)
        return f"DELETE FROM {self.target} AS t USING (SELECT {keys} FROM {view} AS b) AS s WHERE {self._on('s.k')}"

    @cached_property
    def key_types(self) -> str:
        """The columns of a table of keys."""
        return comma(f"k{i} {self.columns[i].sql}" for i in self.table.key)

    def put_keys(self, keys: str, view: str) -> str:
        """Put a view's keys, with their number `m`, into a table of keys."""
        loaded = comma(self.load(i) for i in self.table.key)
        return f"INSERT INTO {keys} SELECT m, {loaded} FROM {view} AS b"

    def delete_put(self, keys: str, number: int) -> str:
        """Delete the rows with the keys that have this number in a table of keys."""
        return f"DELETE FROM {self.target} AS t USING {keys} AS s WHERE s.m = {number} AND {self._on('s.k')}"

    def insert(self, view: str, ready: Collection[int] = (), *, usual: bool = False) -> str:
        """Insert all rows of a view; columns `ready` come as values `v0`, `v1`, … `usual`: see `ColumnType`."""
        values = comma(
            f"b.v{i}" if i in ready else self.load(i, usual=usual) for i in range(len(self.columns))
        )
        return f"INSERT INTO {self.target} ({comma(self.names)}) SELECT {values} FROM {view} AS b"

    def stage(self, view: str, unsent: Collection[int], *, origin: str, join: str) -> str:
        """Put whole rows aside: those of a view, completed from the target's rows, which are found by columns `origin`."""
        values = [self._completed(i, i in unsent) for i in range(len(self.columns))]
        values += [f"{self._extra(*extra)} AS x{i}" for i, extra in enumerate(self.extras)]
        on = " AND ".join(f"t.{self.names[i]} = {self.load(i, origin)}" for i in self.table.key)
        return (
            f"CREATE OR REPLACE TEMP TABLE _cdc_stage AS SELECT {comma(values)}, b.n"
            f" FROM {view} AS b {join} {self.target} AS t ON {on}"
        )

    def _completed(self, index: int, sometimes_unsent: bool) -> str:
        value = self.load(index)
        if sometimes_unsent:
            value = f"CASE WHEN b.u{index} THEN t.{self.names[index]} ELSE {value} END"
        return f"{value} AS s{index}"

    def _extra(self, name: str, default: str | None) -> str:
        """What a row has in a column of the target's own: its default, if the target does not know the row."""
        value = f"t.{quote(name)}"
        if default is None:
            return value
        return f"CASE WHEN t.{self.names[self.table.key[0]]} IS NULL THEN ({default}) ELSE {value} END"

    def unstaged(self, view: str) -> str:
        """The numbers of a view's rows that found no target row."""
        return f"SELECT n FROM {view} ANTI JOIN {STAGE} USING (n) ORDER BY n"

    @cached_property
    def delete_staged(self) -> str:
        return f"DELETE FROM {self.target} AS t USING {STAGE} AS s WHERE {self._on('s.s')}"

    @cached_property
    def insert_staged(self) -> str:
        names = [*self.names, *(quote(name) for name, _ in self.extras)]
        values = [f"s{i}" for i in range(len(self.columns))] + [f"x{i}" for i in range(len(self.extras))]
        return f"INSERT INTO {self.target} ({comma(names)}) SELECT {comma(values)} FROM {STAGE}"

    def _on(self, prefix: str) -> str:
        return " AND ".join(f"t.{self.names[i]} = {prefix}{i}" for i in self.table.key)

    def remove(self, view: str) -> str:
        """Delete `n` copies of each row of a view. Join first and number second: the target is large, the view is not."""
        wanted = comma(f"{self._compared(i, self.load(i))} AS s{i}" for i in range(len(self.columns)))
        same = " AND ".join(
            f"{self._compared(i, f't.{name}')} IS NOT DISTINCT FROM s.s{i}"
            for i, name in enumerate(self.names)
        )
        return (
            f"DELETE FROM {self.target} AS t USING (SELECT rid FROM ("
            f"SELECT t.rowid AS rid, s.n, row_number() OVER (PARTITION BY s.i) AS copy FROM {self.target} AS t"
            f" JOIN (SELECT row_number() OVER () AS i, b.n, {wanted} FROM {view} AS b) AS s ON {same}"
            f") WHERE copy <= n) AS x WHERE t.rowid = x.rid"
        )

    def _compared(self, index: int, value: str) -> str:
        """What tells values apart as their texts do."""
        return value if self.columns[index].exact else f"({value})::VARCHAR"

    def refused(self, index: int, view: str, letter: str = "c") -> str:
        """How many texts of a column its type refuses, and the first of them."""
        text = f"b.{letter}{index}"
        value = self.columns[index].load_of(text)
        return f"SELECT count(*), min({text}::VARCHAR) FROM {view} AS b WHERE {text} IS NOT NULL AND TRY({value}) IS NULL"


def create_table(target: str, table: Table, columns: Sequence[ColumnType], defaults: Sequence[str]) -> str:
    """Columns as they are in the source; NOT NULL only for the key: any other, the source may drop without a word."""
    lines = [
        f"{quote(column.name)} {kept.sql}{default}{' NOT NULL' if i in table.key else ''}"
        for i, (column, kept, default) in enumerate(zip(table.columns, columns, defaults, strict=True))
    ]
    return f"CREATE TABLE {target} ({comma(lines)})"
