"""The statements that keep one target table in sync, as text, written once per shape of the table.

Rows come as one array of texts per column, `$1`, `$2` …, which `unnest` makes rows of: nothing has to be created for them, and
the server reads each text with the input function of the column's own type. Types of which there is no such array (arrays
themselves, composites) come as `text[]` and are cast.
In a statement `b` are the rows that came, with columns `c0`, `c1` …; `t` is the target.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cdc.events import UNSENT, Row
from cdc.schema import Table
from connectors.sql import comma, qualified, quote

STAGE = "pg_temp._cdc_stage"


class TargetColumn(NamedTuple):
    """A column of the target: its quoted name, its type without length or digits, and whether arrays of it can be unnested.

    A length or digits would cut or round in a cast; an assignment to the column refuses what is too long.
    """

    name: str
    base: str
    listed: bool

    @property
    def array(self) -> str:
        return f"{self.base}[]" if self.listed else "text[]"

    def value(self, x: str) -> str:
        """The value whose unnested element is `x`."""
        return x if self.listed else f"{x}::{self.base}"


@dataclass(frozen=True)
class Plan:
    """How rows of one shape of a table are written. `columns` are in the order of `table.columns`.

    `extras` are columns that only the target has, quoted. `replaceable`: to delete a row and insert its new version is the same
    as to update it, for everybody who could look. `one_unique`: what must be unique are the keys alone. `unique`: an
    index says that they are.
    """

    table: Table
    columns: tuple[TargetColumn, ...]
    extras: tuple[str, ...] = ()
    replaceable: bool = False
    one_unique: bool = False
    unique: bool = True

    @cached_property
    def target(self) -> str:
        return qualified(self.table.schema, self.table.name)

    @cached_property
    def names(self) -> str:
        return comma(column.name for column in self.columns)

    @cached_property
    def truncate(self) -> dict[str, str]:
        return {"delete": f"delete from {self.target}", "truncate": f"truncate {self.target}"}

    def retire(self, cells: Row) -> str:
        """Write the sent cells, the parameters, into every live row."""
        sets, number = [], 0
        for column, cell in zip(self.columns, cells, strict=True):
            if cell is not UNSENT:
                number += cell is not None
                sets.append(f"{column.name} = {'null' if cell is None else f'${number}'}")
        return f"update {self.target} set {comma(sets)} where {quote(self.table.live)} is null"

    def clear(self, index: int) -> str:
        """Remove the rows that have the parameter, a text, in a column."""
        return f"delete from {self.target} where {self.columns[index].name} = $1"

    @cached_property
    def copy(self) -> str:
        """COPY into the target, of text or (`copy_csv`) of a snapshot's chunk."""
        return f"copy {self.target} ({self.names}) from stdin"

    @cached_property
    def copy_csv(self) -> str:
        return f"{self.copy} (format csv)"

    @cached_property
    def upsert(self) -> str:
        """Rows of all columns, inserted or put in the place of those with their keys."""
        every = range(len(self.columns))
        values = comma(self.columns[i].value(f"b.c{i}") for i in every)
        return f"{self._insert(self.columns)} select {values} from {self._rows(every)}{self._on_conflict()}"

    def _insert(self, columns: Sequence[TargetColumn], extras: Sequence[str] = ()) -> str:
        names = comma([*(column.name for column in columns), *extras])
        return f"insert into {self.target} ({names}) overriding system value"

    def _on_conflict(self, extras: Sequence[str] = ()) -> str:
        if not self.table.key or not self.unique:
            return ""
        key = [column.name for column in self._key]
        rest = [column.name for column in self.columns if column.name not in key]
        sets = comma(f"{name} = excluded.{name}" for name in [*rest, *extras])
        return f" on conflict ({comma(key)}) do " + (f"update set {sets}" if sets else "nothing")

    @cached_property
    def delete(self) -> str:
        """The rows with these keys, in the key's order."""
        return f"delete from {self.target} as t using {self._rows(self.table.key)} where {self._on('b.c')}"

    @cached_property
    def delete_and_upsert(self) -> str:
        """Both in one statement, which does them in any order. The rows' columns, then those of the keys to delete."""
        first = len(self.columns) + 1
        gone = f"delete from {self.target} as t using {self._rows(self.table.key, first=first)} where {self._on('b.c')}"
        return f"with gone as ({gone}) {self.upsert}"

    def _on(self, prefix: str, *, cast: bool = True) -> str:
        parts = []
        for index in self.table.key:
            column, value = self.columns[index], f"{prefix}{index}"
            parts.append(f"t.{column.name} = {column.value(value) if cast else value}")
        return " and ".join(parts)

    def _rows(self, indexes: Sequence[int], more: Sequence[tuple[str, str]] = (), first: int = 1) -> str:
        """`b` with these columns and `more` (name and type), from parameters in this order."""
        columns = [(f"c{index}", self.columns[index].array) for index in indexes] + [
            (name, f"{kind}[]") for name, kind in more
        ]
        arrays = comma(f"${number}::{kind}" for number, (_, kind) in enumerate(columns, first))
        return f"unnest({arrays}) as b ({comma(name for name, _ in columns)})"

    # Partial rows. Parameters: the sent columns; for `unsent` ones that some rows did send, as well, then a boolean per row.

    def patch(self, never: Collection[int], sometimes: Collection[int]) -> str:
        """Set what was sent, in rows that keep their keys. `never`: columns that no row sent; `sometimes`: not by all (`u3`)."""
        sent = [index for index in range(len(self.columns)) if index not in never]
        more = [(f"u{index}", "boolean") for index in sometimes]
        sets = []
        for index in sent:
            if index not in self.table.key:
                column = self.columns[index]
                value = column.value(f"b.c{index}")
                kept = f"case when b.u{index} then t.{column.name} else {value} end"
                sets.append(f"{column.name} = {kept if index in sometimes else value}")
        if not sets:  # nothing was sent but the key
            return f"select 1 from {self.target} as t, {self._rows(sent, more)} where {self._on('b.c')} for update of t"
        return f"update {self.target} as t set {comma(sets)} from {self._rows(sent, more)} where {self._on('b.c')}"

    @cached_property
    def unknown(self) -> str:
        """The numbers, from 0, of keys that the target does not have."""
        rows = self._rows(self.table.key, [("n", "int")])
        return f"select b.n from {rows} where not exists (select from {self.target} as t where {self._on('b.c')}) order by 1"

    def stage_moved(self, never: Collection[int], sometimes: Collection[int]) -> str:
        """Put aside rows that change their keys, completed from the rows that the target knows by `o0`, `o1` …"""
        sent = [index for index in range(len(self.columns)) if index not in never]
        origins = [(f"o{index}", self.columns[index].array[:-2]) for index in self.table.key]
        more = [*((f"u{index}", "boolean") for index in sometimes), *origins]
        values = []
        for index, column in enumerate(self.columns):
            value = f"t.{column.name}" if index in never else column.value(f"b.c{index}")
            if index in sometimes:
                value = f"case when b.u{index} then t.{column.name} else {value} end"
            values.append(f"{value} as {column.name}")
        values += [f"t.{name}" for name in self.extras]
        rows = self._rows(sent, more)
        return (
            f"create temp table _cdc_stage on commit drop as select {comma(values)}"
            f" from {rows}, {self.target} as t where {self._on('b.o')}"
        )

    @cached_property
    def upsert_staged(self) -> str:
        names = comma([*(column.name for column in self.columns), *self.extras])
        return (
            f"{self._insert(self.columns, self.extras)} select {names} from {STAGE}"
            f"{self._on_conflict(self.extras)}"
        )

    # A chunk whose rows may be there already.

    @cached_property
    def create_stage(self) -> str:
        """An empty copy of the target's columns."""
        return f"create temp table _cdc_stage on commit drop as select {self.names} from {self.target} with no data"

    @cached_property
    def copy_stage(self) -> str:
        return f"copy {STAGE} ({self.names}) from stdin (format csv)"

    @cached_property
    def merge_stage(self) -> str:
        return f"{self._insert(self.columns)} select {self.names} from {STAGE}{self._on_conflict()}"

    @cached_property
    def delete_staged(self) -> str:
        """The rows with the keys of those that were put aside."""
        same = " and ".join(f"t.{column.name} = s.{column.name}" for column in self._key)
        return f"delete from {self.target} as t using {STAGE} as s where {same}"

    @property
    def _key(self) -> list[TargetColumn]:
        return [self.columns[index] for index in self.table.key]

    def take(self, other: Table) -> list[str]:
        """Move all rows of another table into this one."""
        name = qualified(other.schema, other.name)
        return [
            f"{self._insert(self.columns)} select {self.names} from {name}{self._on_conflict()}",
            f"drop table {name}",
        ]

    drop_stage = f"drop table {STAGE}"

    # Without a key.

    @cached_property
    def remove(self) -> str:
        """Delete `n` copies of each row. Rows are equal if their texts are: not every type knows what equal is."""
        every = range(len(self.columns))
        wanted = comma(self.columns[i].value(f"b.c{i}") for i in every)
        return (
            f"delete from {self.target} as t using (select o, c from (select t.tableoid as o, t.ctid as c, s.n,"
            f" row_number() over (partition by s.i) as copy from {self.target} as t join (select row({wanted})::text as r, b.n,"
            f" row_number() over () as i from {self._rows(every, [('n', 'int')])}) as s"
            f" on row({comma(f't.{column.name}' for column in self.columns)})::text = s.r) as numbered where copy <= n) as x"
            " where t.ctid = x.c and t.tableoid = x.o"
        )

    def reads(self, index: int) -> str:
        """Whether every text of one column is a value of its type: an error, if not."""
        column = self.columns[index]
        name = quote(self.table.columns[index].name)
        assigned = f"select {column.value('c')} from unnest($1::{column.array}) as b (c)"
        return f"insert into pg_temp._cdc_tried ({name}) {assigned}"


def try_table(plan: Plan) -> str:
    """A table that a refused row can be tried in, column by column."""
    return (
        f"create temp table _cdc_tried on commit drop as select {plan.names} from {plan.target} with no data"
    )
