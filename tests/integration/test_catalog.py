"""The catalog on real servers: the tables that are captured, and shapes equal to those of the stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cdc.config import SourceSettings
from cdc.errors import ConfigError, SourceError
from cdc.events import Change, Commit
from cdc.schema import FULL, INDEX, Table
from cdc.source.assemble import Assembler
from cdc.source.catalog import Catalog, is_captured
from cdc.source.connect import Connection, connect
from cdc.source.feed import PgoutputFeed
from cdc.source.lookup import select_rows
from cdc.source.slot import ensure_publication, ensure_slot
from cdc.source.stream import Stream
from tests.fixtures.postgres import Database

SHAPES = """
    create schema "Odd Schema";
    create type mood as enum ('sad', 'ok', 'happy');
    create type pair as (a int, b text);
    create domain positive as int check (value > 0);
    create domain moods as mood[];
    create table plain (id bigint generated always as identity primary key,
        name text not null default 'x''y', at timestamptz(3) default now());
    create table numbers (a numeric, b numeric(10,2), c numeric(5,0) not null, d float4, e float8, f money, primary key (c));
    create table composite (b int, a text, c text, primary key (a, b));
    create table own_types (id int primary key, m mood default 'ok', ms mood[], p pair,
        d positive, dm moods, r int4range, nested int[][]);
    create table "Odd Schema"."Odd ""T able" ("A%s" int primary key, "b c" varchar(3), "ü" char(2), "100%" bit(3));
    create table keyless (a int, b text); alter table keyless replica identity full;
    create table no_identity (a int, b text);
    create table nothing (a int primary key, b text); alter table nothing replica identity nothing;
    create table by_index (a int primary key, b text not null, c text); create unique index by_b on by_index (b) include (c);
    alter table by_index replica identity using index by_b;
    create table computed (a int primary key, twice int generated always as (a * 2) stored, z text);
    create table dropped (a int primary key, gone text, kept text); alter table dropped drop column gone;
    create table grown (a int primary key); insert into grown values (0); alter table grown add column late text default 'b,"q"';
    create table parts (a int, b text, primary key (a)) partition by range (a);
    create table parts_1 partition of parts for values from (0) to (100);
    create table parts_2 (b text, a int not null); alter table parts attach partition parts_2 for values from (100) to (200);
    create table parent (a int primary key, b text); create table child (c int) inherits (parent);
"""
ROWS = """
    insert into plain (name) values ('n'); insert into numbers values (1, 2, 3, 4, 5, 6); insert into composite values (1, 'a');
    insert into own_types values (1, 'sad', '{ok}', '(1,x)', 5, '{happy}', '[1,2)', '{{1,2},{3,4}}');
    insert into "Odd Schema"."Odd ""T able" values (1, 'abc', 'x', b'101'); insert into keyless values (1, 'x');
    insert into no_identity values (1); insert into nothing values (1, 'x'); insert into by_index values (1, 'x', 'y');
    insert into computed values (4, default, 'z'); insert into dropped values (1, 'k'); insert into grown values (1, 'x');
    insert into parts values (1, 'a'), (150, 'b'); insert into parent values (1); insert into child values (1, 'b', 2);
"""


def settings_of(database: Database, **more: Any) -> SourceSettings:
    return SourceSettings(dsn=database.dsn, slot=database.name, tables=["*"], **more)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with connect(settings_of(database)) as connection:
        yield connection


def streamed(database: Database, statements: str, **more: Any) -> list[Change]:
    """The changes of these statements, with their tables as `describe` makes them."""
    settings = settings_of(database, **more)
    with connect(settings) as side:
        catalog = Catalog(side, publication="cdc", exclude_columns=settings.exclude_columns)
        ensure_publication(side, settings, catalog.captured(settings))
        ensure_slot(side, settings)
        database.execute(statements)
        feed: Any = PgoutputFeed(Assembler(catalog.describe))
        changes = []
        with Stream(settings, feed, {"proto_version": "1", "publication_names": '"cdc"'}) as stream:
            for event in stream:
                if isinstance(event, Change):
                    changes.append(event)
                elif isinstance(event, Commit):
                    stream.confirm(event.end_lsn)
                    break
    return changes


def described(database: Database) -> dict[str, Table]:
    return {change.table.full_name: change.table for change in streamed(database, ROWS)}


def test_snapshot_and_stream_see_the_same_table(every_database: Database) -> None:
    every_database.execute(SHAPES)
    tables = described(every_database)
    assert len(tables) == 15
    with connect(settings_of(every_database)) as connection:
        catalog = Catalog(connection, publication="cdc")
        for table in tables.values():
            again = catalog.table(table.schema, table.name)
            assert again.key == table.key
            assert (again.fingerprint, again.columns, again.oid) == (
                table.fingerprint,
                table.columns,
                table.oid,
            )


def test_what_the_catalog_adds(database: Database) -> None:
    database.execute(SHAPES)
    tables = described(database)
    plain = tables["public.plain"]
    assert [column.nullable for column in plain.columns] == [False, False, True]
    assert [column.default for column in plain.columns] == [None, "'x''y'::text", "now()"]
    assert [column.type_name for column in plain.columns] == ["bigint", "text", "timestamp(3) with time zone"]
    assert plain.primary_key == plain.identity == (0,)
    assert tables["public.composite"].primary_key == (1, 0)
    by_index = tables["public.by_index"]
    assert (by_index.replica_identity, by_index.primary_key, by_index.identity) == (INDEX, (0,), (1,))
    assert tables["public.keyless"].replica_identity == FULL
    assert tables["public.computed"].column_names == ("a", "z")
    assert tables["public.dropped"].column_names == ("a", "kept")
    own = {column.name: column.type for column in tables["public.own_types"].columns}
    assert own["m"].labels == ("sad", "ok", "happy")
    assert own["ms"].kind == own["dm"].kind == "array"
    assert own["ms"].element == own["m"]
    assert (own["p"].kind, own["d"].kind, own["r"].kind) == ("composite", "int4", "range")
    assert tables['Odd Schema.Odd "T able'].column_names == ("A%s", "b c", "ü", "100%")


def test_tables_that_globs_name(database: Database, connection: Connection) -> None:
    database.execute(
        "create schema sales; create table sales.orders (id int); create table sales.drafts (id int);"
        "create unlogged table sales.cache (id int); create view sales.v as select 1; create table orders (id int);"
        "create table sales.log (a int) partition by list (a); create table sales.log_1 partition of sales.log default"
    )
    settings = SourceSettings(dsn=database.dsn, tables=["sales.*"], exclude_tables=["*.dra?ts"])
    catalog = Catalog(connection)
    assert [str(each) for each in catalog.candidates(settings)] == [
        "sales.cache",
        "sales.log",
        "sales.orders",
    ]
    assert [str(each) for each in catalog.captured(settings)] == ["sales.log", "sales.orders"]
    assert "unlogged" in catalog.candidates(settings)[0].reason_not
    assert is_captured(settings, "sales", "x")
    assert not is_captured(settings, "sales", "drafts")
    assert not is_captured(settings, "Sales", "x")


def test_a_column_list_of_the_publication(database: Database, connection: Connection) -> None:
    database.execute(
        "create table t (a int primary key, b text, c text); create publication cdc for table t (c, a)"
    )
    [change] = streamed(database, "insert into t values (1, 'b', 'c')")
    assert (change.table.column_names, change.new) == (("a", "c"), (b"1", b"c"))
    assert Catalog(connection, publication="cdc").table("public", "t").fingerprint == change.table.fingerprint
    assert Catalog(connection).table("public", "t").column_names == ("a", "b", "c")


def test_generated_columns_that_are_published(database: Database, connection: Connection) -> None:
    database.execute(
        "create table t (a int primary key, b int generated always as (a + 1) stored);"
        "create publication cdc for table t with (publish_generated_columns = stored)"
    )
    [change] = streamed(database, "insert into t values (1)")
    assert (change.table.column_names, change.new) == (("a", "b"), (b"1", b"2"))
    assert Catalog(connection, publication="cdc").table("public", "t").fingerprint == change.table.fingerprint


def test_excluded_columns(every_database: Database) -> None:
    every_database.execute("create table t (secret text, a int primary key, b text, secret_too text)")
    changes = streamed(
        every_database,
        "insert into t values ('x', 1, 'b', 'y'); update t set a = 2; delete from t",
        exclude_columns=["public.t.secret*"],
    )
    assert {change.table.column_names for change in changes} == {("a", "b")}
    assert changes[0].new == (b"1", b"b")
    assert changes[0].table.primary_key == (0,)
    with connect(settings_of(every_database)) as connection:
        table = Catalog(connection, publication="cdc", exclude_columns=["*.secret*"]).table("public", "t")
        assert table.fingerprint == changes[0].table.fingerprint


def test_a_key_column_cannot_be_excluded(database: Database, connection: Connection) -> None:
    database.execute("create table t (a int primary key, b text)")
    with pytest.raises(ConfigError, match=r"exclude_columns names a of public.t: it is part of the key"):
        Catalog(connection, exclude_columns=["*.a"]).table("public", "t")


def test_a_table_that_is_not_there(connection: Connection) -> None:
    with pytest.raises(SourceError, match=r"127.0.0.1:\d+/test\w*_\d+: there is no table public.nowhere"):
        Catalog(connection).table("public", "nowhere")


def test_a_table_dropped_since_is_described_by_the_stream(database: Database) -> None:
    database.execute("create type mood as enum ('sad'); create table t (a int primary key, m mood)")
    [change] = streamed(database, "insert into t values (1, 'sad'); drop table t; drop type mood")
    assert change.new == (b"1", b"sad")
    assert (change.table.column_names, change.table.primary_key) == (("a", "m"), (0,))


def test_a_column_renamed_since_is_described_by_the_stream(database: Database) -> None:
    database.execute("create table t (a int primary key, b text not null)")
    [change] = streamed(database, "insert into t values (1, 'x'); alter table t rename b to c")
    assert change.table.column_names == ("a", "b")


def test_estimates(database: Database, connection: Connection) -> None:
    database.execute(
        "create table t as select generate_series(1, 1000) as a; create table fresh (a int);"
        "create table p (a int) partition by list (a); create table p_1 partition of p default; insert into p select a from t"
    )
    database.execute("analyze t; analyze p_1")
    catalog = Catalog(connection)
    names = catalog.captured(settings_of(database))
    assert {str(name): catalog.estimate(name).rows for name in names} == {
        "public.fresh": None,
        "public.p": 1000,
        "public.t": 1000,
    }
    assert all(catalog.estimate(name).bytes > 8000 for name in names if name.name != "fresh")


def test_rows_by_key_have_the_text_of_the_stream(every_database: Database) -> None:
    every_database.execute(SHAPES)
    changes = [change for change in streamed(every_database, ROWS) if change.table.key]
    assert len(changes) > 10
    with connect(settings_of(every_database)) as connection:
        for change in changes:
            assert change.new
            key = tuple(change.new[index] for index in change.table.key)
            assert list(select_rows(connection, change.table, [key])) == [change.new], change.table.full_name


def test_rows_by_many_keys_and_by_those_that_are_gone(database: Database, connection: Connection) -> None:
    database.execute(
        "create table t (a int, b text, primary key (a, b)); insert into t select n, n || ',' from generate_series(1, 2500) n"
    )
    table = Catalog(connection).table("public", "t")
    keys = [(str(n).encode(), f"{n},".encode()) for n in range(2000, 4600)]
    assert sorted(select_rows(connection, table, keys)) == sorted(keys[:501])
    assert list(select_rows(connection, table, [])) == []
    database.execute("alter table t add column c int")
    wider = Catalog(connection).table("public", "t")
    database.execute("alter table t drop column c")
    assert list(select_rows(connection, wider, keys[:1])) == [(*keys[0], None)]
    database.execute("drop table t")
    assert list(select_rows(connection, table, keys)) == []
