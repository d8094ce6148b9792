"""Random histories of a table, as PostgreSQL would send them, and what a warehouse must hold afterwards in each mode.

The truth is kept here row by row, in dicts and lists, without folding anything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from cdc.events import UNSENT, Begin, Cell, Change, Event, Row, Truncate
from cdc.modes.stamp import position_text, time_text
from cdc.schema import FULL, Column, LogicalType, Table

TEXT = LogicalType("text")
COLUMNS = tuple(Column(name, TEXT) for name in ("a", "b", "v", "w"))
ONE_KEY = Table("public", "one", COLUMNS, primary_key=(0,), identity=(0,))
TWO_KEYS = Table("public", "two", COLUMNS, primary_key=(1, 0), identity=(1, 0))
FULL_KEY = Table("public", "full", COLUMNS, primary_key=(0,), replica_identity=FULL, identity=(0, 1, 2, 3))
NO_KEY = Table("public", "none", COLUMNS, replica_identity=FULL, identity=(0, 1, 2, 3))
NO_KEY_DELETED = ()
KEYS, VALUES = (b"1", b"2", b"3"), (None, b"", b"x", b"y")


@dataclass
class Source:
    """A table as PostgreSQL would keep it, which says of each change what PostgreSQL would send."""

    table: Table
    rows: dict[object, Row] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    serial: int = 0

    def key(self, row: Row) -> object:
        self.serial += not self.table.key
        return tuple(row[i] for i in self.table.key) if self.table.key else self.serial

    def event(self, op: str, old: Row | None, new: Row | None) -> None:
        ordinal = len(self.events) + 1
        self.events.append(Change(self.table, op, old, new, Begin(1, 0, 1), ordinal, ordinal, 10))

    def old_image(self, row: Row) -> Row:
        known = self.table.identity
        return tuple(cell if i in known else UNSENT for i, cell in enumerate(row))

    def insert(self, row: Row) -> None:
        key = self.key(row)
        if key not in self.rows:
            self.rows[key] = row
            self.event("c", None, row)

    def delete(self, pick: int) -> None:
        if self.rows:
            key = sorted(self.rows, key=repr)[pick % len(self.rows)]
            self.event("d", self.old_image(self.rows.pop(key)), None)

    def update(self, pick: int, row: Row, toast: bool) -> None:
        if not self.rows:
            return
        old_key = sorted(self.rows, key=repr)[pick % len(self.rows)]
        old = self.rows[old_key]
        row = (*row[:3], old[3] if toast else row[3])
        key = self.key(row) if self.table.key else old_key
        if key != old_key and key in self.rows:
            return
        del self.rows[old_key]
        self.rows[key] = row
        full = self.table.replica_identity == FULL
        image = self.old_image(old) if full or key != old_key else None
        self.event("u", image, (*row[:3], UNSENT) if toast and not full else row)

    def truncate(self) -> None:
        self.rows.clear()
        self.events.append(Truncate(self.table, Begin(1, 0, 1), len(self.events) + 1, 1))


def spread(events: Sequence[Event], width: int) -> list[Event]:
    """The events over transactions of so many each, with a commit time of its own for each."""
    spread_out: list[Event] = []
    for n, event in enumerate(events):
        lsn = 100 + n // width
        assert isinstance(event, Change | Truncate)
        begin = Begin(lsn, lsn * 1_000_000 + 5, lsn)
        spread_out.append(msgspec.structs.replace(event, begin=begin, ordinal=n % width + 1))
    return spread_out


def steps(chance: random.Random, count: int) -> list[tuple[str, tuple[object, ...]]]:
    """Names and arguments of `Source`'s methods."""
    made: list[tuple[str, tuple[object, ...]]] = []
    for _ in range(count):
        row = (chance.choice(KEYS), chance.choice(KEYS), chance.choice(VALUES), chance.choice(VALUES))
        pick = chance.randrange(9)
        made.append(
            chance.choices(
                [
                    ("insert", (row,)),
                    ("update", (pick, row, chance.random() < 0.5)),
                    ("delete", (pick,)),
                    ("truncate", ()),
                ],
                [8, 8, 4, 1],
            )[0]
        )
    return made


def history(table: Table, chosen: Sequence[tuple[str, tuple[object, ...]]], width: int) -> list[Event]:
    """The events of these steps."""
    source = Source(table)
    for name, arguments in chosen:
        getattr(source, name)(*arguments)
    return spread(source.events, width)


class Truth:
    """`rows` is what the source has; the rest what modes make of its history."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows: list[Row] = []
        self.soft: list[list[Cell]] = []
        """Rows with the time of their deletion. By key, one each; a table without key has all."""
        self.versions: list[list[Cell]] = []
        """Rows with valid_from, valid_to, is_current, op, position, until."""
        self.log: list[Row] = []
        """Rows with op, position, commit time, names of unsent columns."""

    def see(self, event: Event) -> None:
        assert isinstance(event, Change | Truncate)
        time = time_text(event.begin.commit_us)
        position = position_text(event.begin.commit_lsn, event.ordinal)
        if isinstance(event, Truncate):
            for row in list(self.rows):
                self._gone(row, time, position)
            self.rows.clear()
            self._log((None,) * len(self.table.columns), b"t", position, time)
            return
        new, old = event.new, self._before(event)
        if old is not None:
            self._gone(old, time, position)
            self.rows.remove(old)
            if new is None or (event.old is not None and self.table.key and self._key(new) != self._key(old)):
                self._log(event.old or (), b"d", position, time)
        if new is not None:
            whole = tuple(
                [
                    cell if cell is not UNSENT or old is None else o
                    for cell, o in zip(new, old or new, strict=True)
                ]
            )
            self.rows.append(whole)
            if self.table.key:
                self.soft = [row for row in self.soft if self._key(row) != self._key(whole)]
            self.soft.append([*whole, None])
            self.versions.append([*whole, time, None, b"t", event.op.encode(), position, b"now"])
            self._log(new, event.op.encode(), position, time)

    def _key(self, row: Row) -> Row:
        return [row[index] for index in self.table.key]

    def _before(self, event: Change) -> Row | None:
        if event.op == "c":
            return None
        known = event.old if event.old is not None else event.new
        assert known is not None
        if not self.table.key:
            return tuple(known)
        return next(row for row in self.rows if self._key(row) == self._key(known))

    def _gone(self, row: Row, time: bytes, position: bytes) -> None:
        width = len(self.table.columns)
        soft = next(each for each in self.soft if tuple(each[:width]) == tuple(row) and each[width] is None)
        soft[width] = time
        for version in self.versions:
            if tuple(version[:width]) == tuple(row) and version[width + 2] == b"t":
                version[width + 1 : width + 3] = [time, b"f"]
                version[width + 5] = position
                break

    def _log(self, row: Row, op: bytes, position: bytes, time: bytes) -> None:
        unsent = [column.name for column, cell in zip(self.table.columns, row, strict=True) if cell is UNSENT]
        cells = [None if cell is UNSENT else cell for cell in row]
        self.log.append((*cells, op, position, time, json.dumps(unsent).encode() if unsent else None))

    def of_mode(self, mode: str) -> Sequence[Row]:
        truths: dict[str, Sequence[Row]] = {"upsert": self.rows, "soft_delete": self.soft}
        return {**truths, "history": self.versions, "append": self.log}[mode]
