"""Brings one table to the state after a merge, inside the open transaction: what must be completed is read, then delete by key,
then insert.

Rows are completed here and not in SQL, which every dialect writes in its own way. A value that was read is written back as the
driver gave it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from cdc.errors import ValueRefused
from cdc.events import UNSENT, Cell, Row
from cdc.fold import Key, Merge
from cdc.merge import ALL
from cdc.wire.csv_rows import read_rows
from connectors.sql.values import Unkeepable
from connectors.sqlalchemy.sql import Plan, batched, groups

log = logging.getLogger(__name__)

INSERTED = 5_000  # rows of one executemany


class Merger:
    """Runs a plan's statements; `name` is that of the warehouse's table in config.toml."""

    def __init__(self, connection: Connection, plan: Plan, name: str, null_if_refused: bool) -> None:
        self._connection = connection
        self._plan = plan
        self._name = name
        self._null_if_refused = null_if_refused
        self._nulled: dict[int, int] = {}
        self._is_empty = False

    def apply(self, merge: Merge, taken: Plan | None = None) -> Sequence[Key]:
        """Returns the keys of partial rows of which the target has no other half. `taken` is the table to take from."""
        if merge.truncate:
            self._plan.truncate.run(self._connection)
            self._is_empty = True
        if merge.chunk is not None and merge.chunk.fresh:
            self._is_empty = True  # as far as its rows are concerned
        if merge.retire is not None and not merge.truncate:
            sent = [index for index, cell in enumerate(merge.retire) if cell is not UNSENT]
            self._plan.retire(sent).run(self._connection, [self._load(i, merge.retire[i]) for i in sent])
        if merge.clear is not None:
            index, cell = merge.clear
            self._plan.clear(index).run(self._connection, [self._load(index, cell)])
        if taken is not None:
            for statement in self._plan.take(taken, is_empty=self._is_empty):
                statement.run(self._connection)
            self._is_empty = False
        missing: Sequence[Key] = ()
        if merge.table.key:
            missing = self._merge(merge)
        else:
            for rows in batched(_whole(merge), INSERTED):
                self._plan.insert_new.run_many(self._connection, self._loaded(rows))
            for row, copies in merge.removals.items():
                self._remove(row, copies, merge)
        self._warn()
        return missing

    def _merge(self, merge: Merge) -> Sequence[Key]:
        completed, missing = self._completed(merge)
        key = self._plan.table.key
        self._delete([self._key(each) for each in merge.deletes])
        self._delete([tuple([row[index] for index in key]) for row in completed])
        self._plan.insert.run_many(self._connection, completed)
        for rows in batched(_whole(merge), INSERTED):
            loaded = self._loaded(rows)
            keys = [tuple([row[index] for index in key]) for row in loaded]
            present = self._present(keys) if self._plan.extras and not self._is_empty else {}
            if not self._is_empty:
                self._delete(keys)
            width = len(self._plan.columns)
            known = [(*row, *present[k][width:]) for row, k in zip(loaded, keys, strict=True) if k in present]
            self._plan.insert.run_many(self._connection, known)
            new = [row for row, k in zip(loaded, keys, strict=True) if k not in present] if known else loaded
            self._plan.insert_new.run_many(self._connection, new)
        return missing

    def _completed(self, merge: Merge) -> tuple[list[tuple[Any, ...]], list[Key]]:
        """Partial rows completed from the target's, read before anything is changed; and the keys of those it lacks."""
        completed: list[tuple[Any, ...]] = []
        missing: list[Key] = []
        for patches in batched(merge.patches, INSERTED):
            origins = [self._key(patch.origin) for patch in patches]
            present = self._present(origins)
            for patch, origin in zip(patches, origins, strict=True):
                found = present.get(origin)
                if found is None:
                    missing.append(tuple([patch.row[index] for index in merge.table.key]))
                    continue
                cells = [
                    found[index] if cell is UNSENT else self._load(index, cell)
                    for index, cell in enumerate(patch.row)
                ]
                completed.append((*cells, *found[len(cells) :]))
        return completed, missing

    def _present(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """The target's rows with these keys, by key as it was loaded."""
        plan = self._plan
        found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for group in groups(keys):
            for row in plan.select.run(self._connection, group):
                found[self._texts([row[index] for index in plan.table.key])] = tuple(row)
        return {key: found[told] for key in keys if (told := self._texts(key)) in found}

    def _texts(self, key: Sequence[Any]) -> tuple[Any, ...]:
        """Keys as texts: what a driver gives is not always of the type that it takes."""
        columns = [self._plan.columns[index] for index in self._plan.table.key]
        return tuple([kept.text(value) for kept, value in zip(columns, key, strict=True)])

    def _key(self, cells: Sequence[Cell]) -> tuple[Any, ...]:
        return tuple(
            [self._load(index, cell) for index, cell in zip(self._plan.table.key, cells, strict=True)]
        )

    def _delete(self, keys: Sequence[tuple[Any, ...]]) -> None:
        for group in groups(keys):
            self._plan.delete.run(self._connection, group)

    def _remove(self, row: Row, copies: int, merge: Merge) -> None:
        """Remove some of the rows that are equal to one: all of them are deleted, and the rest is put back."""
        plan = self._plan
        values = [self._load(index, cell) for index, cell in enumerate(row)]
        if plan.extras or not all(kept.exact for kept in plan.columns):
            texts = self._retold(values)
            found = [tuple(each) for each in plan.select_equal.run(self._connection, values)]
            equal = [each for each in found if self._retold(each[: len(values)]) == texts]
            rest = [each for each in found if self._retold(each[: len(values)]) != texts]
            keep: Iterable[tuple[Any, ...]] = (*rest, *equal[copies:])
            count = len(equal)
        else:
            [(count,)] = plan.count_equal.run(self._connection, values)
            keep = (tuple(values) for _ in range(count - copies))
        plan.delete_equal.run(self._connection, values)
        for rows in batched(keep, INSERTED):
            plan.insert.run_many(self._connection, rows)
        if count < copies < ALL:
            log.warning(
                "%s: %d of %d equal rows to remove were not in the target; `cdc verify %s` compares it with the source",
                *(merge.table.full_name, copies - count, copies, merge.table.full_name),
            )

    def _retold(self, values: Sequence[Any]) -> tuple[str | None, ...]:
        columns = self._plan.columns
        return tuple([None if v is None else kept.text(v) for kept, v in zip(columns, values, strict=True)])

    # What the driver is given.

    def _loaded(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        columns = []
        for index, cells in enumerate(zip(*rows, strict=True)):
            load = self._plan.columns[index].load
            try:
                columns.append([None if cell is None else load(cell) for cell in cells])
            except ValueError:
                columns.append([self._load(index, cell) for cell in cells])
        return list(zip(*columns, strict=True))

    def _load(self, index: int, cell: Cell) -> Any:
        if cell is None:
            return None
        assert cell is not UNSENT
        try:
            return self._plan.columns[index].load(cell)
        except UnicodeDecodeError:
            raise self._refused(
                index, "the text is not UTF-8", "the source's database has the encoding SQL_ASCII", "encoding"
            ) from None
        except Unkeepable as odd:
            if self._null_if_refused and index not in self._plan.table.key:
                self._nulled[index] = self._nulled.get(index, 0) + 1
                return None
            raise self._refused(index, f"{odd}", "", "unrepresentable") from None

    def _refused(self, index: int, odd: str, why: str, rule: str) -> ValueRefused:
        table, column = self._plan.table, self._plan.table.columns[index]
        full = f"{table.full_name}.{column.name}"
        hint = f'[warehouses.{self._name}.columns] "{full}" = "TEXT" keeps PostgreSQL\'s text'
        if index not in table.key:
            hint += f', [warehouses.{self._name}] unrepresentable = "null" stores NULL'
        if rule == "encoding":
            hint = "mend those rows in the source, or leave the column out by [source] exclude_columns"
        return ValueRefused(
            f"a value cannot be kept as {self._plan.columns[index].stored} unaltered: {odd}",
            rule=rule,
            why=why or f"the column is {column.type_name or column.type.kind} in the source",
            where=full,
            hint=hint,
        )

    def _warn(self) -> None:
        for index, count in self._nulled.items():
            log.warning(
                "%s: %d values of column %s could not be kept as %s and became NULL, by the rule unrepresentable",
                *(self._plan.table.full_name, count, self._plan.table.columns[index].name),
                self._plan.columns[index].stored,
            )
        self._nulled.clear()


def _whole(merge: Merge) -> Iterator[Row]:
    """The whole rows of a merge: a chunk's, or those of upserts or inserts."""
    if merge.chunk is not None:
        return iter(read_rows(merge.chunk.csv))
    return iter(merge.upserts or merge.inserts)
