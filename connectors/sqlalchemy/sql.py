"""The statements that keep one target table in sync, by SQLAlchemy Core, compiled once per shape of the table.

A `Statement` is text with its parameters in a fixed order, run over tuples: no dict per row. Keys are looked for in groups of a
fixed size, filled up by repeating the last one, so that each statement is one text whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    column,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.engine import CursorResult, Dialect

from cdc.schema import Table
from connectors.sql.altering import check_moved
from connectors.sqlalchemy.types import ColumnType

GROUP = 100  # keys of one statement
Values = Sequence[Any]
T = TypeVar("T")


class Statement:
    """A statement as the driver takes it. Parameters are named p0, p1, …; values come in that order."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.text = str(compiled)
        self._positions = [int(name[1:]) for name in compiled.positiontup] if compiled.positional else None
        self._names = None if compiled.positional else sorted(compiled.params, key=lambda name: int(name[1:]))
        self._straight = self._positions == list(range(len(self._positions or ())))

    def run(self, connection: Connection, values: Values = ()) -> CursorResult[Any]:
        return connection.exec_driver_sql(self.text, self._given(values))

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        if rows:
            given = rows if self._straight else [self._given(row) for row in rows]
            connection.exec_driver_sql(self.text, list(map(tuple, given)) if self._straight else given)

    def _given(self, values: Values) -> Any:
        if self._positions is not None:
            return tuple(values) if self._straight else tuple([values[index] for index in self._positions])
        return dict(zip(self._names or (), values, strict=True))


@dataclass(frozen=True)
class Plan:
    """How rows of one shape of a table are written. `columns` are in the order of `table.columns`.

    `extras` are columns that only the target has: dropped in the source, or of a newer shape. They keep their values.
    """

    table: Table
    place: tuple[str | None, str]
    columns: tuple[ColumnType, ...]
    extras: tuple[str, ...]
    dialect: Dialect

    @property
    def types(self) -> tuple[str, ...]:
        return tuple([str(kept.stored) for kept in self.columns])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All columns of the target, ours first."""
        return (*self.table.column_names, *self.extras)

    @cached_property
    def target(self) -> sqlalchemy.TableClause:
        schema, name = self.place
        return sqlalchemy.table(name, *map(column, self.names), schema=schema)

    def _compiled(self, statement: Executable) -> Statement:
        return Statement(statement, self.dialect)

    @cached_property
    def truncate(self) -> Statement:
        """DELETE: where there is a TRUNCATE, it may not be taken back."""
        return self._compiled(self.target.delete())

    @cached_property
    def insert(self) -> Statement:
        """A whole row of the target's, extras and all."""
        return self._insert(self.names)

    @cached_property
    def insert_new(self) -> Statement:
        """A row that the target knows nothing of: in the extras it gets their defaults."""
        return self._insert(self.table.column_names)

    def _insert(self, names: Sequence[str]) -> Statement:
        values: Any = {self.target.c[name]: bindparam(f"p{index}") for index, name in enumerate(names)}
        return self._compiled(self.target.insert().values(values))

    @cached_property
    def delete(self) -> Statement:
        """Rows with the keys of a group."""
        return self._compiled(self.target.delete().where(self._in_group()))

    @cached_property
    def select(self) -> Statement:
        """Whole rows of the target's with the keys of a group."""
        return self._compiled(select(*self.target.c).where(self._in_group()))

    def _in_group(self) -> ColumnElement[bool]:
        keys = [self.target.c[self.names[index]] for index in self.table.key]
        groups: list[list[Any]] = [
            [bindparam(f"p{n * len(keys) + i}") for i in range(len(keys))] for n in range(GROUP)
        ]
        if len(keys) == 1:
            return keys[0].in_([parameter for [parameter] in groups])
        return or_(
            *(and_(*(key == given for key, given in zip(keys, group, strict=True))) for group in groups)
        )

    def take(self, other: Plan, *, is_empty: bool) -> Iterator[Statement]:
        """Upsert the rows of another table with the same columns, or add them where there is no key."""
        check_moved(self.table, self.types, other.types)
        source, names = other.target, self.table.column_names
        same = and_(
            true(), *(source.c[self.names[i]] == self.target.c[self.names[i]] for i in self.table.key)
        )
        found = exists(select(source.c[names[0]]).where(same).correlate(self.target))
        new = select(*(source.c[name] for name in names))
        if self.table.key and not is_empty and not self.extras:
            yield self._compiled(self.target.delete().where(found))
        elif self.table.key and not is_empty:  # the target's own columns keep their values
            values: Any = {
                name: select(source.c[name]).where(same).correlate(self.target).scalar_subquery()
                for name in names
            }
            yield self._compiled(self.target.update().where(found).values(values))
            there = exists(select(self.target.c[names[0]]).where(same).correlate(source))
            new = new.where(~there)
        yield self._compiled(self.target.insert().from_select(list(names), new))
        yield self._compiled(source.delete())

    def retire(self, indexes: Sequence[int]) -> Statement:
        """Write these columns of every live row."""
        values: Any = {
            self.target.c[self.names[index]]: bindparam(f"p{n}") for n, index in enumerate(indexes)
        }
        live = self.target.c[self.table.live]
        return self._compiled(self.target.update().where(live.is_(None)).values(values))

    def clear(self, index: int) -> Statement:
        """Remove the rows that have a text in a column."""
        return self._compiled(self.target.delete().where(self.target.c[self.names[index]] == bindparam("p0")))

    @cached_property
    def _same(self) -> ColumnElement[bool]:
        ours = [self.target.c[name] for name in self.table.column_names]
        return and_(*(each.is_not_distinct_from(bindparam(f"p{i}")) for i, each in enumerate(ours)))

    @cached_property
    def count_equal(self) -> Statement:
        return self._compiled(select(func.count()).select_from(self.target).where(self._same))

    @cached_property
    def select_equal(self) -> Statement:
        return self._compiled(select(*self.target.c).where(self._same))

    @cached_property
    def delete_equal(self) -> Statement:
        return self._compiled(self.target.delete().where(self._same))


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """The rows in lists of at most `size`."""
    given = iter(rows)
    while batch := list(islice(given, size)):
        yield batch


def groups(keys: Sequence[Values]) -> Iterator[list[Any]]:
    """Parameters for statements over a group of keys."""
    for start in range(0, len(keys), GROUP):
        group = list(keys[start : start + GROUP])
        group += group[-1:] * (GROUP - len(group))
        yield [value for key in group for value in key]
