"""Copies of tables of every kind: keys of all types, none, partitions, parents, names that must be quoted."""

from __future__ import annotations

import pytest

from tests.fixtures.line import Replica

SERIES = "from generate_series(1, 40) g"
TYPES = "create type mood as enum ('z', 'a', 'm', 'b'); create domain short as varchar(9)"
KEYS = {
    "composite": (
        "a int, b text, c uuid, v int, primary key (c, a, b)",
        f"g, 'x' || g % 2, md5((g % 3)::text)::uuid, g {SERIES}",
    ),
    "quoted": ('"the Key" text collate "C" primary key', f"chr(g + 200) || g {SERIES}"),
    "text": (
        "k text primary key",
        rf"case g % 2 when 0 then upper(md5(g::text)) else md5(g::text) || '''\% s' end {SERIES}",
    ),
    "timestamptz": (
        "k timestamptz primary key",
        f"case g when 1 then 'infinity' else '2020-03-29'::timestamptz - g * '1 s'::interval end {SERIES}",
    ),
    "float8": (
        "k float8 primary key",
        f"case g when 1 then 'NaN' when 2 then '-Infinity' else 1.0 / g end {SERIES}",
    ),
    "numeric": ("k numeric primary key", f"case g when 1 then 'NaN' else g * 1e20 / 3 end {SERIES}"),
    "bytea": ("k bytea primary key, v char(3)", f"sha256(g::text::bytea), 'x' {SERIES}"),
    "char": ("k char(5) primary key, j jsonb", f"g::text, '{{}}' {SERIES}"),
    "enum": ("k mood, n int, primary key (k, n)", f"(enum_range(null::mood))[g % 4 + 1], g {SERIES}"),
    "domain": ("k short primary key", f"g::text::short {SERIES}"),
    "array": ("k int[] primary key", f"array[g % 5, g] {SERIES}"),
    "interval": ("k interval primary key", f"g * '25 hours'::interval {SERIES}"),
    "boolean": ("k boolean primary key, v int", "true, 1 union select false, 2"),
    "date": ("k date primary key", f"'0044-03-15 BC'::date + g {SERIES}"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind(replica: Replica, kind: str) -> None:
    """Chunks end between any two keys, in the order of the key's type and collation."""
    columns, rows = KEYS[kind]
    replica.settings["snapshot"] = {"chunk_rows": 7 if kind != "boolean" else 1}
    replica.database.execute(TYPES)
    replica.database.execute(f"create table t ({columns}); insert into t select {rows}")
    replica.assert_equal()


def test_tables_of_every_kind(replica: Replica) -> None:
    """Empty ones, partitions copied through their root, parents without their children's rows, names that must be quoted."""
    replica.settings["snapshot"] = {"chunk_rows": 15}
    replica.settings["source"]["tables"] = ["*.*"]
    db = replica.database
    db.execute(
        "create table empty (id int primary key); create table nothing (v int);"
        "create table parts (id int, at int, v text, primary key (id, at)) partition by range (at);"
        "create table parts_1 partition of parts for values from (0) to (20);"
        "create table parts_2 partition of parts default;"
        "create table parent (id int primary key, v text); create table child (more int, primary key (id)) inherits (parent);"
        'create schema "Odd ""Schema"; create table "Odd ""Schema"."sel ect%s" ("A ""b" int primary key, "ü%d" text, "from" int);'
    )
    db.execute(
        f"insert into parts select g, g, 'v' {SERIES}; insert into parent select g, 'p' from generate_series(1, 30) g;"
        f"insert into child select g, 'c', g {SERIES};"
        f"""insert into "Odd ""Schema"."sel ect%s" select g, '%', g {SERIES}"""
    )
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "update parts set at = at + 10, v = 'moved'; insert into empty values (1); insert into nothing values (1)"
        )
        db.execute("update parent set v = 'both' where id % 3 = 0; delete from only parent where id = 1")
        db.execute(
            """update "Odd ""Schema"."sel ect%s" set "A ""b" = "A ""b" + 100, "ü%d" = null where "from" < 9"""
        )
    assert {name for _, name in replica.captured()} == {
        "empty",
        "nothing",
        "parts",
        "parent",
        "child",
        "sel ect%s",
    }
    replica.assert_equal()
