"""One history through both plugins on a real PostgreSQL 15: the events are the same, but for what wal2json cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from cdc.config import SourceSettings
from cdc.errors import DecodeError
from cdc.events import DELETE, INSERT, UNSENT, UPDATE, Begin, Change, Commit, Event, Message, Row, Truncate
from cdc.schema import Table
from cdc.source.assemble import Assembler
from cdc.source.catalog import Catalog
from cdc.source.connect import Connection, connect
from cdc.source.feed import Feed, PgoutputFeed, feed
from cdc.source.frames import PAYLOAD
from cdc.source.pgoutput import OPTIONS as PGOUTPUT_OPTIONS
from cdc.source.publication import TableName
from cdc.source.wal2json import OPTIONS as WAL2JSON_OPTIONS
from cdc.source.wal2json import Wal2jsonDecoder
from tests.fixtures.history import HISTORY, SPECIAL_NUMBERS, typed_table
from tests.fixtures.postgres import Database

HEADER = b"w" + bytes(PAYLOAD - 1)


class Plugin:
    """A slot, its changes as frames, and the feed that reads them."""

    def __init__(self, connection: Connection, name: str, options: dict[str, str], feed: Feed) -> None:
        self._connection = connection
        self._name = name
        self._feed = feed
        parameters = [text for option in options.items() for text in option]
        self._read = (
            "select lsn::text, data from pg_logical_slot_get_binary_changes(%s, null, null, variadic %s)"
        )
        self._arguments = [name, parameters]
        connection.execute("select pg_create_logical_replication_slot(%s, %s)", [name, name])

    def events(self) -> list[Event]:
        rows = self._connection.execute(self._read, self._arguments, binary=True).fetchall()
        frames = [HEADER + bytes(data) for _, data in rows]
        return [event for frame in frames for event in self._feed(frame)]


@pytest.fixture
def plugins(database15: Database) -> Iterator[tuple[Plugin, Plugin]]:
    database15.execute("create publication cdc for all tables")
    with ExitStack() as stack:
        settings = SourceSettings(dsn=database15.dsn, tables=["*"])
        pgoutput, wal2json = (stack.enter_context(connect(settings)) for _ in range(2))
        with_publication, without = Catalog(pgoutput, publication="cdc"), Catalog(wal2json)
        decode = Wal2jsonDecoder(
            lambda schema, table: without.facts(TableName(schema, table)),
            numbers_as_text=False,
            null_numbers=True,
        )
        yield (
            Plugin(
                pgoutput,
                "pgoutput",
                {**PGOUTPUT_OPTIONS, "publication_names": "cdc"},
                PgoutputFeed(Assembler(with_publication.describe)),
            ),
            Plugin(wal2json, "wal2json", WAL2JSON_OPTIONS, feed(decode, Assembler(without.describe))),
        )


def comparable(events: Sequence[Event]) -> list[Any]:
    """Events as plain values, without empty transactions, which only one of the plugins gives."""
    told: list[Any] = []
    for event in events:
        match event:
            case Begin(commit_lsn, commit_us, xid):
                told.append(("begin", commit_lsn, commit_us, xid))
            case Commit(_, end_lsn, count):
                if told[-1][0] == "begin":
                    told.pop()
                else:
                    told.append(("commit", end_lsn, count))
            case Change(table, op, old, new):
                # of wal2json, a delete shows only the identity, and so not that other columns have changed
                seen = shape(table) if op != DELETE else table.full_name
                told.append((op, event.ordinal, seen, cells(table, old), cells(table, new)))
            case Truncate(table):
                told.append(("truncate", event.ordinal, table.full_name))
            case Message():
                told.append(
                    ("message", event.ordinal, event.prefix, event.content, event.lsn, event.begin is None)
                )
    return told


def shape(table: Table) -> Any:
    return (
        table.full_name,
        table.oid,
        table.replica_identity,
        table.primary_key,
        table.identity,
        table.columns,
    )


def cells(table: Table, row: Row | None) -> Any:
    if row is None:
        return None
    return {name: cell for name, cell in zip(table.column_names, row, strict=True) if cell is not UNSENT}


def test_events_are_equal(database15: Database, plugins: tuple[Plugin, Plugin]) -> None:
    """Each transaction is read before the next, so the catalog is as of it."""
    pgoutput, wal2json = plugins
    rows = 0
    with database15.connect() as connection:
        for transaction in HISTORY:
            connection.execute(transaction.encode())
            expected, got = comparable(pgoutput.events()), comparable(wal2json.events())
            assert got == expected, transaction
            rows += len(expected)
    assert rows > 200


def test_events_are_equal_though_the_catalog_is_ahead(
    database15: Database, plugins: tuple[Plugin, Plugin]
) -> None:
    """All is read at the end: what the catalog says is then mostly of another time."""
    with database15.connect() as connection:
        for transaction in [*HISTORY, "drop table gone"]:
            connection.execute(transaction.encode())

    def values(plugin: Plugin) -> list[Any]:
        return [
            (*told[:2], told[2][0], *told[3:]) if told[0] in (INSERT, UPDATE) else told
            for told in comparable(plugin.events())
        ]

    pgoutput, wal2json = map(values, plugins)
    for got, expected in zip(wal2json, pgoutput, strict=True):
        assert got == expected


def test_special_numbers_of_old_wal2json_are_refused(database15: Database) -> None:
    decode = Wal2jsonDecoder(lambda _schema, _table: None, numbers_as_text=False)
    with database15.connect() as connection:
        connection.execute("select pg_create_logical_replication_slot('wal2json', 'wal2json')")
        for statement in typed_table("special", SPECIAL_NUMBERS):
            connection.execute(statement.encode())
        read = "select data from pg_logical_slot_get_changes('wal2json', null, null, variadic %s)"
        options = [text for option in WAL2JSON_OPTIONS.items() for text in option]
        records = [row.encode() for (row,) in connection.execute(read, [options]).fetchall()]
    inserts = [record for record in records if b'"action":"I"' in record]
    assert inserts
    for record in inserts:
        with pytest.raises(DecodeError, match="NaN"):
            decode(record)
