"""What guards the source's disk, and what happens around a slot that somebody else has, or that goes away."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cdc.book import Book
from cdc.daemon import Daemon
from cdc.errors import SlotInUse, SlotLost
from cdc.guard import Guard
from cdc.shedding import Shedding
from cdc.source.slot_status import SlotWatch
from cdc.status import Status
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database
from tests.fixtures.source import open_stream, prepared


@pytest.fixture
def replica(database: Database, tmp_path: Path) -> Replica:
    database.execute("create table item (id int primary key)")
    return Replica(database, tmp_path)


def test_a_slot_in_use_is_waited_for_and_its_holder_named(database: Database, tmp_path: Path) -> None:
    replica = Replica(database, tmp_path, source={"publication": "cdc"})
    holder = open_stream(prepared(database))
    daemon = Daemon(replica.config)
    stop = threading.Event()
    thread = threading.Thread(target=daemon.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: daemon.status().state == "retrying", "it waits")
        error = daemon.status().error
        assert "is in use: process " in error
        assert "application 'cdc', from 127.0.0.1 streams from it" in error
        holder.close()
        eventually(lambda: daemon.status().state == "streaming", "it has the slot")
        assert daemon.status().source.timeline == 1
    finally:
        holder.close()
        stop.set()
        thread.join()


def test_but_not_for_ever(database: Database, tmp_path: Path) -> None:
    replica = Replica(database, tmp_path, source={"publication": "cdc", "slot_wait": 0})
    holder = open_stream(prepared(database))
    try:
        with pytest.raises(SlotInUse):
            Daemon(replica.config).run(threading.Event())
    finally:
        holder.close()


def looked_at(replica: Replica) -> Status:
    """After one look of the guard, beside no daemon."""
    config = replica.config
    book, slot = Book(config), SlotWatch(config.source)
    try:
        Guard(config.source, book, slot, Shedding(config.warehouses, enabled=False)).look(slot.status())
    finally:
        slot.close()
    return book.status()


@pytest.mark.parametrize(
    ("settings", "told", "kept"),
    [
        ({}, [], True),
        ({"retained_warn_bytes": 1}, ["keeps 0 MB of WAL for the slot"], True),
        ({"retained_limit_bytes": 1}, ["over [source] retained_limit_bytes"], True),
        (
            {"retained_limit_bytes": 1, "retained_policy": "drop_slot"},
            ["dropped to save the source's disk", "over [source] retained_limit_bytes"],
            False,
        ),
    ],
    ids=["little", "much", "too much", "too much, and the slot may go"],
)
def test_wal_that_piles_up_is_told_and_the_policy_followed(
    replica: Replica, database: Database, settings: dict[str, object], told: list[str], kept: bool
) -> None:
    replica.catch_up()
    database.execute("insert into item select generate_series(1, 1000)")
    replica.settings["source"].update(settings)
    notes = [note.text for note in looked_at(replica).notes]
    assert len(notes) == len(told)
    assert all(part in note for part, note in zip(told, notes, strict=True))
    assert (database.slots() == [database.name]) == kept


def test_a_slot_given_up_while_it_streams_ends_the_daemon_with_the_way_out(replica: Replica) -> None:
    replica.settings["source"].update(retained_limit_bytes=1, retained_policy="drop_slot")
    daemon = Daemon(replica.config)
    with pytest.raises(SlotLost, match=r"is gone.*\(`cdc drop`, then `cdc run`"):
        daemon.run(threading.Event())
    assert daemon.status().state == "failed"
