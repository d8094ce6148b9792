"""Rows that a warehouse refuses: found by halves, taken out of their merge, and what is told of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec

from cdc.errors import ValueRefused
from cdc.events import UNSENT, Cell, Change, Chunk, Event, Row
from cdc.interfaces import Warehouse
from cdc.lsn import START, Position
from cdc.merge import Key, Merge, Patch
from cdc.modes.letters import Letter
from cdc.modes.settings import RowData
from cdc.schema import Table
from cdc.wire.csv_rows import read_rows

MOST = 1000  # rows of one merge: where more are refused, it is no matter of rows
Part: TypeAlias = tuple[str, Any]
"""A field of `Merge`, and one entry of it."""


class TooMany(Exception):
    """More rows are refused than could be told one by one."""


def without_refused(warehouse: Warehouse, merge: Merge) -> tuple[Merge, list[tuple[Row, ValueRefused]]]:
    """The merge without what the warehouse refuses, and the rows that those are, each with its error.

    Tries parts of the merge on the warehouse, which has rolled back to its last commit before and afterwards. Raises TooMany.
    """
    parts = list(_parts(merge))
    rest = replace(merge, upserts=[], patches=[], deletes=[], inserts=[], removals={}, chunk=None, take=None)

    def try_(some: Sequence[Part]) -> ValueRefused | None:
        try:
            warehouse.evolve(merge.table)
            warehouse.apply(_joined(replace(rest, truncate=False, retire=None), some))
        except ValueRefused as error:
            return error
        finally:
            warehouse.rollback()
        return None

    refused = dict(_refused(parts, try_))
    good = [part for index, part in enumerate(parts) if index not in refused]
    kept = _joined(rest, good)
    if merge.chunk is not None:  # it stays one: what it begins and ends is still to be done
        kept = replace(
            kept, upserts=[], inserts=[], chunk=_with_rows(merge.chunk, [*kept.upserts, *kept.inserts])
        )
    rows = [(_row(merge.table, parts[index]), error) for index, error in refused.items()]
    return replace(kept, take=merge.take), rows


def _with_rows(chunk: Chunk, rows: Sequence[Row]) -> Chunk:
    lines = [b",".join([_field(cell) for cell in row]) + b"\n" for row in rows]
    return msgspec.structs.replace(chunk, csv=b"".join(lines), rows=len(rows))


def _field(cell: Cell) -> bytes:
    return b'"' + cell.replace(b'"', b'""') + b'"' if isinstance(cell, bytes) else b""


def _parts(merge: Merge) -> Iterator[Part]:
    chunk = read_rows(merge.chunk.csv) if merge.chunk else ()
    yield from (("upserts" if merge.table.key else "inserts", row) for row in chunk)
    for name in ("upserts", "patches", "deletes", "inserts"):
        yield from ((name, each) for each in getattr(merge, name))
    yield from (("removals", each) for each in merge.removals.items())


def _joined(merge: Merge, parts: Sequence[Part]) -> Merge:
    fields: dict[str, Any] = {"upserts": [], "patches": [], "deletes": [], "inserts": [], "removals": {}}
    for name, value in parts:
        if name == "removals":
            fields[name][value[0]] = value[1]
        else:
            fields[name].append(value)
    return replace(merge, **fields)


def _refused(
    parts: Sequence[Part], try_: Callable[[Sequence[Part]], ValueRefused | None]
) -> Iterator[tuple[int, ValueRefused]]:
    """The numbers of refused parts: of a half that is refused, the halves are tried."""
    found = 0
    halves = [(0, len(parts))]
    while halves:
        start, end = halves.pop()
        error = try_(parts[start:end]) if start < end else None
        if error is None:
            continue
        if end - start == 1:
            found += 1
            if found > MOST:
                raise TooMany
            yield start, error
            continue
        middle = (start + end) // 2
        halves += [(start, middle), (middle, end)]


def _row(table: Table, part: Part) -> Row:
    """Of a key to delete, a row that has no other cells."""
    name, value = part
    if name == "deletes":
        cells = dict(zip(table.key, value, strict=True))
        return tuple([cells.get(index, UNSENT) for index in range(len(table.columns))])
    if isinstance(value, Patch):
        return value.row
    row: Row = value[0] if name == "removals" else value
    return row


def letters(
    merge: Merge,
    refused: Sequence[tuple[Row, ValueRefused]],
    events: Iterable[Event],
    at_us: int,
    data: RowData,
) -> list[Letter]:
    """What is told of these rows of a merge that was made of these events, in their order.

    Never more of their values than `data` allows.
    """
    source = merge.source
    rows = {_key_cells(source, row): (row, error) for row, error in refused}
    places = _places(source, events, rows)
    told = (
        Letter(
            source,
            row[: len(source.columns)],
            _key(source, cells, hidden=data == "none"),
            hidden=data == "none",
            told=_told(merge.table, row) if data == "row" else None,
            position=places.get(cells, START),
            reason=f"{error.where}: {error.what}" if error.where else error.what,
            column=_column(merge, error),
            at_us=at_us,
        )
        for cells, (row, error) in rows.items()
    )
    return sorted(told, key=lambda letter: letter.position)


def _places(source: Table, events: Iterable[Event], wanted: Container[Key]) -> dict[Key, Position]:
    """Where the last event of each of these keys stands."""
    found: dict[Key, Position] = {}
    for event in events:
        if not isinstance(event, Change | Chunk) or event.table.full_name != source.full_name:
            continue
        rows = read_rows(event.csv) if isinstance(event, Chunk) else (event.old, event.new)
        for row in rows:
            if row is not None and (cells := _key_cells(event.table, row)) in wanted:
                found[cells] = event.position
    return found


def _key_cells(source: Table, row: Row) -> Key:
    """Of a table without key, all cells that are the source's."""
    key = source.key
    if not key or len(row) <= max(key):
        return tuple(row[: len(source.columns)])
    return tuple([row[index] for index in key])


def _key(source: Table, cells: Key, *, hidden: bool) -> bytes:
    """The source's key as JSON; a digest, where there is none or it must not be told."""
    if hidden or not source.key:
        return b"md5:" + hashlib.md5(repr(cells).encode(), usedforsecurity=False).hexdigest().encode()
    names = [source.columns[index].name for index in source.key]
    return _json(dict(zip(names, cells, strict=False)))


def _column(merge: Merge, error: ValueRefused) -> str:
    """Which column it is, as far as the error says so."""
    names = (f"{table.full_name}." for table in (merge.source, merge.table))
    return next((error.where.removeprefix(name) for name in names if error.where.startswith(name)), "")


def _told(table: Table, row: Row) -> bytes:
    sent = zip(table.column_names, row, strict=False)
    return _json({name: cell for name, cell in sent if cell is not UNSENT})


def _json(cells: dict[str, Any]) -> bytes:
    texts = {
        name: cell.decode(errors="replace") if isinstance(cell, bytes) else None
        for name, cell in cells.items()
    }
    return json.dumps(texts, ensure_ascii=False).encode()
