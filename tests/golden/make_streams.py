"""Records what real servers send for a short history: `tests/golden/streams/PLUGIN-VERSION.txt`, one frame a line.

`python -m tests.golden.make_streams`, when the history changes or a new version of PostgreSQL is out. The events that
the frames give are recorded beside them (`.events`): read the difference before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cdc.config import SourceSettings
from cdc.events import Begin, Change, Commit, Event, Message, Truncate
from cdc.source.assemble import Assembler
from cdc.source.connect import connect_replication
from cdc.source.feed import Feed, PgoutputFeed, feed
from cdc.source.frames import PAYLOAD, XLOG_DATA
from cdc.source.pgoutput import OPTIONS as PGOUTPUT_OPTIONS
from cdc.source.wal2json import OPTIONS as WAL2JSON_OPTIONS
from cdc.source.wal2json import Wal2jsonDecoder
from cdc.tables import build_table
from tests.fixtures.postgres import VERSIONS, Database, fresh_database, postgres_server

STREAMS = Path(__file__).parent / "streams"
BIG = "(select string_agg(md5(i::text), '') from generate_series(1, 100) i)"
HISTORY = [
    "create type mood as enum ('sad', 'ok')",
    "create table orders (id int primary key, note text, body text, price numeric(10,2), mood mood)",
    f"insert into orders values (1, 'a', {BIG}, 1.5, 'ok'), (2, null, '', null, null)",
    "update orders set note = 'b' where id = 1",
    "update orders set id = 3 where id = 1",
    "delete from orders where id = 2",
    "begin; insert into orders values (4); savepoint a; insert into orders values (5); rollback to a; commit",
    "alter table orders add column at timestamptz default '2024-02-29 12:00+00', drop column price",
    "insert into orders values (6, E'\\t\"', 'x', 'sad', 'infinity')",
    "alter table orders replica identity full",
    "update orders set note = 'c' where id = 3",
    "delete from orders",
    'create table "T ""1" (a int, b bytea, c bool, primary key (c, a))',
    'insert into "T ""1" values (1, \'\\x00ff\', true)',
    'truncate orders, "T ""1" restart identity cascade',
    "select pg_logical_emit_message(true, 'in', 'side'), pg_logical_emit_message(false, 'out', 'side')",
]
DDL_ONLY = 5  # transactions of which pgoutput of 15 and later gives nothing


def record(database: Database, plugin: str) -> Iterator[bytes]:
    """The frames that carry messages, from the history's first to its last."""
    options = {
        "pgoutput": {**PGOUTPUT_OPTIONS, "publication_names": "cdc"},
        "wal2json": WAL2JSON_OPTIONS,
    }[plugin]
    given = ", ".join(f"\"{name}\" '{value}'" for name, value in options.items())
    slot = f"{database.name}_{plugin}"
    with closing(connect_replication(SourceSettings(dsn=database.dsn, slot=slot))) as connection:
        pgconn = connection.pgconn
        pgconn.exec_(f"START_REPLICATION SLOT {slot} LOGICAL 0/0 ({given})".encode())
        commits = 0
        while commits < len(HISTORY) - (DDL_ONLY if plugin == "pgoutput" else 0):
            _, data = pgconn.get_copy_data(0)
            frame = bytes(data)
            if frame[0] == XLOG_DATA:
                yield frame
                commits += frame[PAYLOAD : PAYLOAD + 1] == b"C" or b'"action":"C"' in frame


def make_feed(plugin: str) -> Feed:
    """Of a stream alone: no catalog is asked."""
    assemble = Assembler(lambda relation, _types: build_table(relation))
    if plugin == "pgoutput":
        return PgoutputFeed(assemble)
    decode = Wal2jsonDecoder(lambda _schema, _table: None, numbers_as_text=False, null_numbers=True)
    return feed(decode, assemble)


def told(event: Event) -> str:
    """An event as a line of text, with what it holds and none of the positions."""
    match event:
        case Begin():
            return "begin"
        case Commit():
            return f"commit {event.events}"
        case Change(table):
            columns = [f"{c.name} {c.type.kind} {c.typmod}" for c in table.columns]
            shape = f"{table.full_name} ({', '.join(columns)}) {table.replica_identity} {table.identity}"
            return f"{event.op} {event.ordinal} {shape} {event.old} -> {event.new}"
        case Truncate(table):
            return f"truncate {event.ordinal} {table.full_name} {event.cascade} {event.restart_identity}"
        case Message():
            return f"message {event.ordinal} {event.prefix} {event.content!r}"
    raise AssertionError(event)


def main() -> None:
    STREAMS.mkdir(exist_ok=True)
    for version in VERSIONS:
        plugins = ["pgoutput", "wal2json"] if version == 15 else ["pgoutput"]
        with postgres_server(version) as server, fresh_database(server) as database:
            database.execute("create publication cdc for all tables")
            for plugin in plugins:
                database.query(
                    "select pg_create_logical_replication_slot(%s, %s)", f"{database.name}_{plugin}", plugin
                )
            for statement in HISTORY:
                database.execute(statement)
            for plugin in plugins:
                frames = list(record(database, plugin))
                events = [told(event) for feed in [make_feed(plugin)] for f in frames for event in feed(f)]
                path = STREAMS / f"{plugin}-{version}.txt"
                path.write_text("".join(f"{frame.hex()}\n" for frame in frames))
                path.with_suffix(".events").write_text("".join(f"{line}\n" for line in events))


if __name__ == "__main__":
    main()
