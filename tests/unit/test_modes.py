"""Modes: what random histories reach seldom, what copies leave, names, and the texts of our own columns."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.applying import apply
from cdc.config import WarehouseSettings
from cdc.events import UNSENT, Begin, Change, Chunk, Control, Row
from cdc.fold import fold
from cdc.lsn import Position
from cdc.modes.settings import Mode
from cdc.modes.shaping import Modes, widened
from cdc.modes.stamp import copy_text, position_text
from cdc.schema import FULL, Column, LogicalType, Table
from cdc.testing.memory import MemoryWarehouse, read_csv_rows
from cdc.testing.targets import checkpoint

TEXT = LogicalType("text")
ID, BODY = Column("id", TEXT, nullable=False), Column("body", TEXT)
TABLE = Table("public", "t", (ID, BODY), primary_key=(0,), identity=(0,))
KEYLESS = Table("public", "t", (ID, BODY), replica_identity=FULL, identity=(0, 1))


def settings(**values: Any) -> WarehouseSettings:
    return WarehouseSettings(kind="any", **values)


class Kept:
    """A warehouse in a mode."""

    def __init__(self, mode: Mode, found: list[Row] | None = None, **values: Any) -> None:
        self.warehouse = MemoryWarehouse()
        self.settings = settings(mode=mode, **values)
        self.modes = Modes(self.settings, {}, lambda: 0)
        self.found = found or []
        self.asked: list[Row] = []
        self.lsn = 0

    def changes(self, *rows: tuple[str, Row | None, Row | None], table: Table = TABLE) -> None:
        """One batch, each change a transaction of its own, at the seconds that its LSN says."""
        events = []
        for op, old, new in rows:
            self.lsn += 1
            begin = Begin(self.lsn, self.lsn * 1_000_000, self.lsn)
            events.append(Change(table, op, old, new, begin, 1, self.lsn, 1))
        for merge in fold(events, self.modes):
            apply(self.warehouse, merge, self._find)
        self.commit()

    def _find(self, _table: Table, keys: Any) -> list[Row]:
        self.asked += keys
        return self.found

    def chunk(self, csv: str, *, first: bool = False, last: bool = False, table: Table = TABLE) -> None:
        rows = len(read_csv_rows(table, csv.encode()))
        where = Position(self.lsn, 1)
        chunk = Chunk(table, csv.encode(), rows, where, Control("c", b""), first=first, last=last)
        for merge in fold([chunk], self.modes):
            apply(self.warehouse, merge, self._find)
        self.commit()

    def commit(self) -> None:
        controls = {**self.warehouse.state().controls, **self.modes.learned()}
        self.warehouse.commit(checkpoint(self.lsn, **controls))

    def restart(self) -> None:
        self.modes = Modes(self.settings, self.warehouse.state().controls, lambda: 0)

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        """Some columns of the rows, as text, sorted."""
        (stored,) = self.warehouse.tables.values()
        texts = [
            tuple(cell.decode() if isinstance(cell := row[name], bytes) else cell for name in names)
            for row in stored.rows.values()
        ]
        return sorted(texts, key=repr)


def second(n: int) -> str:
    return f"1970-01-01 00:00:{n:02d}+00"


MOVES = (
    ("u", (b"1", UNSENT), (b"2", UNSENT)),
    ("u", (b"2", UNSENT), (b"3", UNSENT)),
)


def test_a_key_that_changes_twice_in_a_batch_takes_its_unsent_values_along() -> None:
    expected: dict[Mode, list[tuple[Any, ...]]] = {
        "upsert": [("3", "BIG")],
        "soft_delete": [("1", "BIG"), ("2", "BIG"), ("3", "BIG")],
        "history": [("1", "BIG"), ("2", "BIG"), ("3", "BIG")],
    }
    for mode, rows in expected.items():
        kept = Kept(mode)
        kept.changes(("c", None, (b"1", b"BIG")))
        kept.changes(*MOVES)
        assert kept.rows("id", "body") == rows, mode
        assert not kept.asked


def test_versions_follow_each_other() -> None:
    kept = Kept("history")
    kept.changes(("c", None, (b"1", b"a")), ("u", None, (b"1", b"b")), ("d", (b"1", UNSENT), None))
    kept.changes(("c", None, (b"1", b"c")))
    kept.changes(("u", None, (b"1", UNSENT)))
    columns = ("body", "_cdc_op", "_cdc_valid_from", "_cdc_valid_to", "_cdc_is_current")
    assert kept.rows(*columns) == [
        ("a", "c", second(1), second(2), "f"),
        ("b", "u", second(2), second(3), "f"),
        ("c", "c", second(4), second(5), "f"),
        ("c", "u", second(5), None, "t"),
    ]


def test_a_deleted_row_that_comes_again_is_revived() -> None:
    kept = Kept("soft_delete", metadata=["op"])
    kept.changes(("c", None, (b"1", b"a")), ("d", (b"1", UNSENT), None))
    assert kept.rows("body", "_cdc_deleted_at", "_cdc_op") == [("a", second(2), "d")]
    kept.changes(("c", None, (b"1", b"b")))
    assert kept.rows("body", "_cdc_deleted_at", "_cdc_op") == [("b", None, "c")]


def test_what_the_target_never_had_is_not_looked_up_to_be_deleted() -> None:
    for mode in ("soft_delete", "history"):
        kept = Kept(mode, found=[(b"1", b"other")])
        kept.changes(("d", (b"1", UNSENT), None))
        assert not kept.asked
        assert kept.rows("id") == []


def test_the_rest_of_an_unknown_row_is_looked_up() -> None:
    for mode in ("soft_delete", "history"):
        kept = Kept(mode, found=[(b"1", b"NOW")], metadata=["commit_lsn"])
        kept.changes(("u", None, (b"1", UNSENT)))
        assert kept.asked == [(b"1",)]
        assert kept.rows("id", "body", "_cdc_commit_lsn") == [("1", "NOW", "0/1")]


def test_a_log_says_what_was_not_sent() -> None:
    kept = Kept("append")
    kept.changes(
        ("c", None, (b"1", None)), ("u", (b"1", UNSENT), (b"2", UNSENT)), ("d", (b"2", UNSENT), None)
    )
    assert kept.rows("_cdc_position", "_cdc_op", "id", "body", "_cdc_unsent") == [
        (position_text(1, 1).decode(), "c", "1", None, None),
        (position_text(2, 1).decode(), "d", "1", None, '["body"]'),
        (position_text(2, 1).decode(), "u", "2", None, '["body"]'),
        (position_text(3, 1).decode(), "d", "2", None, '["body"]'),
    ]


# Copies.


def test_a_copy_made_again() -> None:
    """Rows that are gone are past; those that are there begin anew, or live on."""
    soft, history, log = (Kept(mode) for mode in ("soft_delete", "history", "append"))
    for kept in (soft, history, log):
        kept.chunk('1,"a\n""x"""\n2,b\n', first=True, last=True)
        kept.lsn += 1
        kept.chunk("2,c\n", first=True, last=True)
    assert soft.rows("id", "body", "_cdc_deleted_at") == [("1", 'a\n"x"', second(0)), ("2", "c", None)]
    assert history.rows("id", "body", "_cdc_is_current", "_cdc_op") == [
        ("1", 'a\n"x"', "f", "r"),
        ("2", "b", "f", "r"),
        ("2", "c", "t", "r"),
    ]
    first, later = copy_text(0, 1).decode(), copy_text(1, 2).decode()
    assert log.rows("id", "_cdc_position") == [("1", first), ("2", first), ("2", later)]


@pytest.mark.parametrize("table", [TABLE, KEYLESS], ids=["keyed", "keyless"])
def test_a_log_has_each_row_of_an_interrupted_copy_once(table: Table) -> None:
    kept = Kept("append")
    kept.chunk("1,a\n2,b\n", first=True, table=table)
    kept.restart()
    kept.lsn += 1
    kept.chunk("1,a\n", first=True, table=table)
    assert kept.rows("id") == [("1",)]
    if table is TABLE:
        kept.restart()
        kept.chunk("1,a\n2,b\n")
        kept.chunk("3,c\n", last=True)
        assert kept.rows("id") == [("1",), ("2",), ("3",)]


def test_an_interrupted_copy_of_a_history_begins_again_at_the_same_place() -> None:
    kept = Kept("history")
    for _ in range(3):
        kept.chunk("1,a\n", first=True)
        kept.restart()
    assert kept.rows("id", "_cdc_is_current") == [("1", "f"), ("1", "f"), ("1", "t")]


def test_csv_is_widened_outside_of_quotes() -> None:
    csv = b'1,"a\n""\n"",\n"\n2,\n"","""\n"\n'
    rows = read_csv_rows(TABLE, csv)
    wide = Table("public", "t", (ID, BODY, Column("x", TEXT), Column("y", TEXT)))
    assert read_csv_rows(wide, widened(csv, (b"v", None))) == [(*row, b"v", None) for row in rows]
    assert widened(csv, ()) is csv
    one = Table("public", "t", (BODY,))
    assert read_csv_rows(replace_columns(wide, (BODY, ID)), widened(b"\n", (b"v",))) == [(None, b"v")]
    assert read_csv_rows(one, b"\n") == [(None,)]


def replace_columns(table: Table, columns: tuple[Column, ...]) -> Table:
    return Table(table.schema, table.name, columns)
