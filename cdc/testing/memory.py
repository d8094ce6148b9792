"""A warehouse in a dict: the smallest thing that keeps the contract, for tests of whatever stands before a warehouse.

Rows are kept as PostgreSQL's text. A transaction is a copy of the tables, put in place by `commit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow as pa
from pyarrow import csv

from cdc.errors import ColumnRefused
from cdc.events import UNSENT, Cell
from cdc.fold import Key, Merge
from cdc.interfaces import Alteration, Checkpoint, DropDefault, DropTable, RenameColumn, View
from cdc.marks import check_overtaken, moved
from cdc.schema import Table

NamedRow = dict[str, Cell]


class StoredTable(msgspec.Struct):
    """`rows` by key; a table without key numbers its rows. `defaults`: of columns, where there are some."""

    columns: list[str]
    rows: dict[Key, NamedRow]
    next_number: int = 0
    defaults: NamedRow = {}


class Store(msgspec.Struct):
    """What is committed, for all who have it open."""

    tables: dict[str, StoredTable] = {}
    checkpoint: Checkpoint = Checkpoint()


class MemoryWarehouse:
    """Implements `cdc.interfaces.Warehouse`. Several may have one store."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store or Store()
        self._known = self._store.checkpoint
        self._open: dict[str, StoredTable] = {}
        self._dropped: set[str] = set()

    @property
    def tables(self) -> dict[str, StoredTable]:
        """What is committed."""
        return self._store.tables

    def state(self) -> Checkpoint:
        self._known = self._store.checkpoint
        return self._known

    def rows(self, table: str) -> list[tuple[Cell, ...]]:
        """The committed rows, sorted."""
        stored = self.tables[table]
        return sorted((tuple(row[name] for name in stored.columns) for row in stored.rows.values()), key=repr)

    def evolve(self, table: Table) -> None:
        stored = self._stored(table.full_name) or StoredTable([], {})
        self._open[table.full_name] = stored
        for column in table.columns:
            if column.name not in stored.columns:
                stored.columns.append(column.name)
                stored.defaults[column.name] = column.missing
                for row in stored.rows.values():
                    row[column.name] = column.missing

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None:
        stored = self._stored(table.full_name)
        for each in alterations:
            if isinstance(each, DropTable):
                self._open.pop(table.full_name, None)
                self._dropped.add(table.full_name)
                continue
            if stored is None or each.name not in stored.columns:
                continue
            if isinstance(each, RenameColumn) and each.to in stored.columns:
                raise ColumnRefused(f"there is a column {each.to}", column=each.to, where=table.full_name)
            default = stored.defaults.pop(each.name, None)
            if isinstance(each, DropDefault):
                continue
            if isinstance(each, RenameColumn):
                stored.defaults[each.to] = default
            place = stored.columns.index(each.name)
            stored.columns[place : place + 1] = [each.to] if isinstance(each, RenameColumn) else []
            for row in stored.rows.values():
                cell = row.pop(each.name)
                if isinstance(each, RenameColumn):
                    row[each.to] = cell

    def _stored(self, name: str) -> StoredTable | None:
        if name not in self._open and name in self.tables and name not in self._dropped:
            stored = self.tables[name]
            rows = {key: dict(row) for key, row in stored.rows.items()}
            self._open[name] = StoredTable(
                list(stored.columns), rows, stored.next_number, dict(stored.defaults)
            )
        return self._open.get(name)

    def apply(self, merge: Merge) -> Sequence[Key]:
        table, stored = merge.table, self._open[merge.table.full_name]
        if merge.truncate:
            stored.rows.clear()
        if merge.retire is not None:
            self._retire(table, stored, merge.retire)
        if merge.clear is not None:
            index, cell = merge.clear
            cleared = [key for key, row in stored.rows.items() if row[table.columns[index].name] == cell]
            for key in cleared:
                del stored.rows[key]
        if merge.take is not None:
            self._take(table, stored, merge.take)
        origins = [
            dict(stored.rows[patch.origin]) if patch.origin in stored.rows else None
            for patch in merge.patches
        ]
        whole = [*merge.upserts, *merge.inserts, *self._chunk(merge)]
        if table.key and stored.next_number:
            _make_room(table, stored, {*merge.deletes, *(_key(table, row) for row in whole)})
        for key in merge.deletes:
            stored.rows.pop(key, None)
        missing = []
        for patch, origin in zip(merge.patches, origins, strict=True):
            if origin is None:
                missing.append(_key(table, patch.row))
            else:
                self._upsert(table, stored, patch.row, origin)
        for row in whole:
            self._upsert(table, stored, row)
        self._remove(table, stored, merge)
        return missing

    def _retire(self, table: Table, stored: StoredTable, cells: Sequence[Cell]) -> None:
        sent = {c.name: cell for c, cell in zip(table.columns, cells, strict=True) if cell is not UNSENT}
        for key, row in list(stored.rows.items()):
            if row[table.live] is None:
                del stored.rows[key]
                row.update(sent)
                stored.rows[_key_of(table, row) if table.key else key] = row

    def _take(self, table: Table, stored: StoredTable, other: Table) -> None:
        taken = self._stored(other.full_name)
        for row in taken.rows.values() if taken else ():
            self._upsert(table, stored, [row[name] for name in table.column_names])
        self._open.pop(other.full_name, None)
        self._dropped.add(other.full_name)

    def _upsert(
        self, table: Table, stored: StoredTable, row: Sequence[Cell], origin: NamedRow | None = None
    ) -> None:
        key = _key(table, row)
        if not table.key:
            stored.next_number += 1
            key = (str(stored.next_number).encode(),)
        target = stored.rows.setdefault(key, {**dict.fromkeys(stored.columns), **stored.defaults})
        target.update(origin or {})
        target.update(
            {c.name: cell for c, cell in zip(table.columns, row, strict=True) if cell is not UNSENT}
        )

    def _remove(self, table: Table, stored: StoredTable, merge: Merge) -> None:
        unwanted = Counter(merge.removals)
        for number, row in list(stored.rows.items()):
            cells = tuple(row[name] for name in table.column_names)
            if unwanted[cells] > 0:
                unwanted[cells] -= 1
                del stored.rows[number]

    def _chunk(self, merge: Merge) -> list[tuple[Cell, ...]]:
        return read_csv_rows(merge.table, merge.chunk.csv) if merge.chunk else []

    def commit(self, checkpoint: Checkpoint) -> None:
        applied, self._open = self._open, {}
        stored = self._store.checkpoint
        concerned = {name: mark for name, mark in stored.marks.items() if name in checkpoint.marks}
        check_overtaken(concerned, self._known.marks, where="a dict")
        for name in self._dropped:
            self._store.tables.pop(name, None)
        self._store.tables.update(applied)
        self._dropped = set()
        marks = {**stored.marks, **moved(checkpoint.marks, stored.marks)}
        self._store.checkpoint = Checkpoint(marks, {**stored.controls, **checkpoint.controls})
        self._known = self._store.checkpoint

    def view(self) -> View:
        raise NotImplementedError("a dict has no SQL to make digests with: compare `rows` instead")

    def forget(self) -> None:
        self._store.checkpoint = self._known = Checkpoint()

    def rollback(self) -> None:
        self._open = {}
        self._dropped = set()

    def close(self) -> None:
        self.rollback()


def _make_room(table: Table, stored: StoredTable, keys: set[Key]) -> None:
    """Rows go that came before the table had a key, and have one of these."""
    for number, row in list(stored.rows.items()):
        if number != (key := _key_of(table, row)) and key in keys:
            del stored.rows[number]


def _key_of(table: Table, row: NamedRow) -> Key:
    return tuple(row[table.columns[index].name] for index in table.key)


def _key(table: Table, row: Sequence[Cell]) -> Key:
    return tuple(row[index] for index in table.key)


def read_csv_rows(table: Table, data: bytes) -> list[tuple[Cell, ...]]:
    """A chunk's CSV as rows of cells (see `cdc.events.Chunk`)."""
    if not data:
        return []
    names = [str(index) for index in range(len(table.columns))]
    parsed = csv.read_csv(
        pa.py_buffer(data),
        read_options=csv.ReadOptions(column_names=names, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return list(zip(*(column.to_pylist() for column in parsed.columns), strict=True))
