"""The real Debezium writes, `cdc apply` reads: warehouses are equal to the source, with embedded schemas and by inference."""

from __future__ import annotations

from tests.fixtures.interop import Interop

TABLE = """
    create table types (id bigint primary key, t text, n numeric(10, 2), ta text[]);
    insert into types select k, 'text ' || k, k / 7.0, array['a', null, 'b,' || k] from generate_series(1, 50) k;
"""
PLAIN = """
    create table plain (id bigint primary key, n bigint, t text, b boolean, g double precision);
    insert into plain select k, k * 10, 'note ' || k, k % 2 = 0, k + 0.5 from generate_series(1, 50) k;
"""
OTHERS = """
    create table pairs (a integer, b text, v text, primary key (b, a));
    create table large (id integer primary key, n integer, doc text);
    alter table large alter doc set storage external;
    create table emptied (id integer primary key);
    insert into emptied values (1);
    create table log (at bigint, what text);
    alter table log replica identity full;
    insert into pairs select k, 'k' || k % 5, 'v' from generate_series(1, 40) k;
    insert into large select k, 0, repeat('x', 5000) || k from generate_series(1, 10) k;
    insert into log select k % 3, 'same' from generate_series(1, 9) k;
"""
CHANGES = """
    update types set t = 'changed', n = null, ta = '{}' where id % 3 = 0;
    delete from types where id % 10 = 1;
    update types set id = id + 2000 where id % 10 = 2;
"""
PLAIN_CHANGES = """
    update plain set t = 'changed', n = 1 where id % 3 = 0;
    delete from plain where id % 10 = 1;
    update plain set id = id + 2000 where id % 10 = 2;
    insert into plain values (5000, 1, 'new', true, 0.25);
"""
MORE = """
    update pairs set v = 'w' where a % 2 = 0;
    update pairs set b = 'moved' where a % 7 = 0;
    delete from pairs where a % 9 = 0;
    update large set n = n + 1;
    update large set doc = 'short' where id = 3;
    update large set id = id + 100 where id > 8;
    delete from large where id = 4;
    update log set what = 'other' where at = 0;
    delete from log where at = 1;
    truncate emptied;
    insert into emptied values (2);
"""


def test_with_embedded_schemas_every_kind_of_change_arrives(interop: Interop) -> None:
    interop.database.execute(TABLE)
    interop.database.execute(OTHERS)
    schemas = {"key_converter_schemas_enable": "true", "value_converter_schemas_enable": "true"}
    tables = ("types", "pairs", "large", "log", "emptied")
    with interop.connector(**schemas, skipped_operations="none"):
        interop.run_and_compare(*tables)
        interop.database.execute(CHANGES)
        interop.database.execute(MORE)
        with (
            interop.database.connect() as session,
            session.cursor().copy("copy types (id, t) from stdin") as copy,
        ):
            for number in range(9000, 9500):  # many rows in one WAL record
                copy.write_row((number, "copied"))
        interop.run_and_compare(*tables)


def test_without_schemas_types_are_inferred(interop: Interop) -> None:
    interop.database.execute(PLAIN)
    schemas = {"key_converter_schemas_enable": "false", "value_converter_schemas_enable": "false"}
    with interop.connector(**schemas):
        interop.run_and_compare("plain")
        interop.database.execute(PLAIN_CHANGES)
        interop.run_and_compare("plain")
