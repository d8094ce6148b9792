"""What the book says of a line: states of tables, counts, lag; never backward."""

from __future__ import annotations

import pytest

from cdc.book import Book
from cdc.config import Config, SourceSettings, WarehouseSettings
from cdc.events import Begin, Commit
from cdc.interfaces import Batch, Checkpoint, Mark
from cdc.lsn import END, START, Position
from cdc.merge import Merge
from cdc.schema import Table
from cdc.status import TableStatus

T = "public.t"


@pytest.fixture
def book() -> Book:
    warehouses = {name: WarehouseSettings(kind="duckdb") for name in ("a", "b")}
    return Book(Config(source=SourceSettings(dsn=""), warehouses=warehouses), clock=lambda: 100.0)


def table(book: Book) -> TableStatus:
    [found] = book.status().tables
    return found


def commit(lsn: int, seconds: int = 90) -> Commit:
    return Commit(Begin(lsn, seconds * 1_000_000, 1), lsn + 1, 1)


def batch(lsn: int, seconds: int = 90) -> Batch:
    position = Position(lsn, END) if lsn else START
    return Batch([], Checkpoint({"p": Mark(position)}), 1, 1, seconds * 1_000_000)


def test_a_table_is_copied_catches_up_and_is_live(book: Book) -> None:
    book.captured(T, copied=False, rows=0)
    assert table(book).state == "new"
    book.copy_started(T, 10)
    book.copy_moved(T, 4)
    assert (table(book).state, table(book).rows_copied, table(book).rows_estimated) == ("copying", 4, 10)
    book.copy_finished(T, until=50)
    book.published(commit(49))
    assert table(book).state == "catching_up"
    book.published(commit(50))
    assert table(book).state == "live"


def test_an_idle_stream_makes_it_live_too(book: Book) -> None:
    book.captured(T, copied=False, rows=0)
    book.copy_started(T, None)
    book.copy_finished(T, until=50)
    book.drained(49)
    assert table(book).state == "catching_up"
    book.drained(50)
    assert table(book).state == "live"


def test_another_attempt_takes_up_what_was_copied(book: Book) -> None:
    book.captured(T, copied=False, rows=7)
    assert (table(book).state, table(book).rows_copied) == ("new", 7)
    book.copy_started(T, None)
    book.captured(T, copied=False, rows=9)
    assert table(book).state == "copying"
    book.captured(T, copied=True, rows=9)
    assert table(book).state == "live"


def test_a_table_that_is_gone_is_parked_with_the_reason(book: Book) -> None:
    book.captured(T, copied=False, rows=0)
    book.table_refused(T, "dropped", "create it")
    assert (table(book).state, table(book).reason) == ("parked", "dropped")
    assert table(book).mend


def test_changes_are_counted_once_for_all_warehouses(book: Book) -> None:
    merge = Merge(Table("public", "t", ()), counts={"c": 2, "u": 3, "d": 4, "t": 1, "r": 9})
    for name in ("a", "b"):
        book.applied(name)(batch(10), [merge])
    found = table(book)
    assert (found.inserts, found.updates, found.deletes, found.truncates) == (2, 3, 4, 1)
    assert [each.rows_applied for each in book.status().warehouses] == [19, 19]


def test_behind_until_all_that_was_published_is_applied(book: Book) -> None:
    book.published(commit(10, 80))
    book.published(commit(20, 95))
    book.applied("a")(batch(10, 80), [])
    a, b = book.status().warehouses
    assert (a.applied_lsn, a.behind_seconds, b.behind_seconds) == ("0/A", 20, 5)
    book.applied("a")(batch(20, 95), [])
    assert (
        book.status().warehouses[0].behind_seconds == 5
    )  # the stream may have more that nobody has seen yet
    book.drained(30)
    assert book.status().warehouses[0].behind_seconds == 5  # silence proves nothing …
    book.asked(99, 31)
    book.drained(30)
    assert book.status().warehouses[0].behind_seconds == 5
    book.drained(31)
    assert book.status().warehouses[0].behind_seconds == 0  # … being where the source is does
    book.retrying("broken off")
    assert book.status().warehouses[0].behind_seconds == 1  # nothing was missing then


def test_what_waits_after_a_long_silence_is_no_older_than_its_end(book: Book) -> None:
    """As it does for a warehouse that has changes wait for company."""
    for name in ("a", "b"):
        book.applied(name)(batch(10, 20), [])
    book.published(commit(10, 20))
    book.asked(90, 30)
    book.drained(30)
    book.published(commit(40, 91))
    book.applied("b")(batch(40, 91), [])
    book.asked(95, 50)
    book.drained(50)
    assert [each.behind_seconds for each in book.status().warehouses] == [10, 0]


def test_nothing_is_said_of_lag_before_the_stream_has_said_anything(book: Book) -> None:
    assert [each.behind_seconds for each in book.status().warehouses] == [None, None]


def test_a_piece_is_no_progress(book: Book) -> None:
    book.published(commit(10))
    book.applied("a")(Batch([], None, 5, 5, 0), [])
    assert book.status().warehouses[0].applied_lsn is None


def test_what_is_applied_never_goes_back(book: Book) -> None:
    """A copy may come before the first commit of an attempt, at no position."""
    book.target("a", "a file", Checkpoint({"p": Mark(Position(30, END))}))
    assert book.status().warehouses[0].applied_lsn == "0/1E"
    book.applied("a")(batch(0, 0), [])
    assert book.status().warehouses[0].applied_lsn == "0/1E"
    assert book.status().warehouses[0].target == "a file"


def test_a_status_is_a_copy(book: Book) -> None:
    book.captured(T, copied=True, rows=0)
    before = book.status()
    book.failed("broken")
    book.table_refused(T, "dropped", "create it")
    assert before.tables[0].state == "live"
    assert (before.state, book.status().state, book.status().error) == ("starting", "failed", "broken")
    assert book.status("stopping").state == "stopping"


def test_rows_left_out_are_counted_once_over_attempts(book: Book) -> None:
    """A new attempt finds in the target what earlier runs left out, and what this one did, or did in vain."""
    labels = {"warehouse": "a", "table": T}
    book.dead_letters_are("a", {T: 3})
    book.dead_lettered("a", T, "NaN", 2)
    book.dead_letters_are("a", {T: 5})
    assert book.status().warehouses[0].dead_letters == 5
    assert book.meters.registry.get_sample_value("cdc_dead_letters_total", labels) == 5
    assert len([each for each in book.status().notes if each.kind == "dead_letter"]) == 2
    book.dead_lettered("a", T, "NaN", 2)
    book.dead_letters_are("a", {T: 5})
    assert book.status().warehouses[0].dead_letters == 5
    book.dead_letters_are("a", {})
    assert book.status().warehouses[0].dead_letters == 0
