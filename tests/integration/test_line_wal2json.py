"""The same line with the other plugin: wal2json on PostgreSQL 15."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdc.errors import ConfigError, DecodeError
from cdc.preflight import check_source
from tests.fixtures.line import Replica
from tests.fixtures.postgres import Database

TABLES = """
    create table t (id int primary key, v text, n numeric(10, 2), big text);
    alter table t alter big set storage external;
    create table log (line text, at int);
    alter table log replica identity full;
"""


@pytest.fixture
def replica15(database15: Database, tmp_path: Path) -> Replica:
    return Replica(database15, tmp_path, source={"plugin": "wal2json"})


def test_wal2json_keeps_the_target_equal_too(replica15: Replica) -> None:
    db = replica15.database
    db.execute(TABLES)
    db.execute("insert into t select g, 'v' || g, g / 10.0, repeat('x', 9000) from generate_series(1, 100) g")
    db.execute("insert into log values ('a', 1), ('a', 1), (null, 2)")
    with replica15.running() as running:
        running.wait_live()
        db.execute(
            "update t set v = 'new' where id < 10; update t set id = -id where id = 50; delete from t where id > 90"
        )
        db.execute(
            "delete from log where at = 2; update log set line = 'b' where ctid = '(0,1)'; insert into log values ('', 3)"
        )
        db.execute(
            "alter table t add column z int default 7; insert into t values (1000, 'q', 1, 'small', 8)"
        )
    replica15.assert_equal()


def test_a_null_number_of_old_wal2json_is_refused_until_the_operator_says_what_it_is(
    replica15: Replica,
) -> None:
    db = replica15.database
    db.execute(TABLES)
    replica15.catch_up()
    db.execute("insert into t values (1, 'no number', null, '')")
    with pytest.raises(DecodeError, match="wal2json_null_numbers"):
        replica15.catch_up()
    replica15.settings["source"]["wal2json_null_numbers"] = "null"
    replica15.catch_up()
    replica15.assert_equal()


@pytest.mark.parametrize(
    ("table", "mend"),
    [
        ("create table t (v text)", 'alter table "public"."t" replica identity full'),
        ("create table t (id int primary key) partition by range (id)", 'plugin = "pgoutput"'),
    ],
)
def test_a_table_that_wal2json_cannot_tell_is_refused(replica15: Replica, table: str, mend: str) -> None:
    replica15.database.execute(table)
    with pytest.raises(ConfigError, match=r"table public\.t cannot be captured") as refused:
        replica15.catch_up()
    assert mend in refused.value.hint
    failed = [check for check in check_source(replica15.config.source) if check.state == "fail"]
    assert [check.name for check in failed] == ["table public.t"]
