"""Types of the source in a PostgreSQL target: its own where the target has them, and otherwise by a named rule."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fixtures.line import Replica
from tests.fixtures.postgres import Database
from tests.property.values import SCALARS


@pytest.fixture
def replica(database: Database, target: Database, tmp_path: Path) -> Replica:
    return Replica(database, tmp_path).into_postgres(target.dsn)


OWN_TYPES = """create schema if not exists values_test; set search_path = values_test;
    create type mood as enum ('', 'so so', 'NULL', 'happy,"{}'); create domain few as int check (value < 9);
    create type pair as (a int, b text); create type halves as range (subtype = float8)"""
MORE = {
    "few": "8",
    "few[]": "{1,2}",
    "pair": '(1,"a "" b")',
    "pair[]": '{"(1,\\"x y\\")",NULL}',
    "halves": "[1.5,2)",
    "tsquery[]": "{\"'a' & 'b'\"}",
    "int4[]": "[0:1]={1,2}",
    "text[]": '{{a,"b,\\"c"},{NULL,"null"}}',
    "mood[]": '{"","so so","NULL",NULL}',
    "box[]": "{(1,1),(0,0);(2,2),(0,0)}",
}
KEPT = """select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = %s::regclass and attnum > 1 order by attnum"""


def insert_every(session: psycopg.Connection[Any], values: Iterable[tuple[int, str, str]]) -> int:
    """A row for each value that PostgreSQL takes."""
    taken = 0
    for index, name, text in values:
        with contextlib.suppress(psycopg.DataError):
            session.execute(f"insert into public.every (c{index}) values (%s::text::{name})".encode(), [text])
            taken += 1
    return taken


def test_every_type_copied_and_streamed(replica: Replica, target: Database) -> None:
    for each in (replica.database, target):
        each.execute(OWN_TYPES)
    types = [*dict.fromkeys(case.type_name for case in SCALARS), *MORE]
    values = [
        (types.index(case.type_name), case.type_name, text) for case in SCALARS for text in case.extremes
    ]
    values += [(types.index(name), name, text) for name, text in MORE.items()]
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(types))
    with replica.database.connect() as session:
        session.execute("set search_path = values_test, public")
        session.execute(f"create table public.every (id serial primary key, {columns})".encode())
        assert insert_every(session, values) > 100
        with replica.running() as running:
            running.wait_live()
            assert insert_every(session, values) > 100
            session.execute("update public.every set id = -id where id % 2 = 0")
    replica.assert_equal("public.every")
    assert target.query(KEPT, "every") == replica.database.query(KEPT, "every")


def test_types_that_the_target_lacks(replica: Replica, target: Database) -> None:
    replica.database.execute("""create type mood as enum ('ok', 'so so'); create type pair as (a int, b text);
        create domain short as varchar(5);
        create table t (id int primary key, m mood, ms mood[], p pair, s short);
        insert into t values (1, 'so so', '{ok,NULL}', '(1,"x y")', 'abcde')""")
    replica.assert_equal()
    assert [name for (name,) in target.query(KEPT, "t")] == ["text", "text", "text", "character varying(5)"]


def test_enums_are_created_and_get_new_labels(replica: Replica, target: Database) -> None:
    replica.settings["warehouses.local"]["enums"] = "create"
    db = replica.database
    db.execute("""create schema "My s"; create type "My s"."Mood" as enum ('b', 'd');
        create table t (id int primary key, m "My s"."Mood", ms "My s"."Mood"[]);
        insert into t values (1, 'b', '{d,NULL}')""")
    replica.assert_equal()
    db.execute("""alter type "My s"."Mood" add value 'a' before 'b'""")
    db.execute("""alter type "My s"."Mood" add value 'c' after 'b'""")
    db.execute("insert into t values (2, 'a', '{c}')")
    replica.assert_equal()
    labels = """select array_agg(enumlabel::text order by enumsortorder) from pg_enum"""
    assert target.query(labels) == [(["a", "b", "c", "d"],)]
