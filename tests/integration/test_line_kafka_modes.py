"""Modes over Kafka: rows of several partitions, a change of key as two records, a copy as changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from tests.fixtures.line import Replica, eventually
from tests.integration.test_line_kafka import over_kafka as over_kafka
from tests.integration.test_resync import resync

SETUP = """
    create table orders (id int primary key, state text, body text);
    insert into orders select g, 'new', repeat(md5(g::text), 200) from generate_series(1, 60) g;
"""
CHANGES = """
    update orders set state = 'paid' where id <= 30; delete from orders where id <= 10;
    update orders set id = id + 1000 where id between 11 and 15; insert into orders values (1, 'again', null);
    update orders set state = 'sent' where id > 20;
"""


def test_soft_deletes_and_versions(over_kafka: Replica, tmp_path: Path) -> None:
    del over_kafka.settings["warehouses.local"]
    paths = {}
    for mode in ("soft_delete", "history"):
        paths[mode] = str(tmp_path / f"{mode}.duckdb")
        over_kafka.settings[f"warehouses.{mode}"] = {
            **{"kind": "duckdb", "path": paths[mode], "threads": 1, "mode": mode}
        }
    database = over_kafka.database
    database.execute(SETUP)
    with over_kafka.running() as running:
        running.wait_live()
        database.execute(CHANGES)
        eventually(lambda: running.errors or running.daemon.verify().equal)
        database.execute("delete from orders where id = 60")
    over_kafka.catch_up()

    def query(mode: str, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(paths[mode], read_only=True) as connection:
            return connection.execute(sql).fetchall()

    gone = "select count(*), count(length(body)) from public.orders where _cdc_deleted_at is not null"
    assert query("soft_delete", gone) == [(9 + 5 + 1, 9 + 5 + 1)]
    versions = (
        "select _cdc_op, _cdc_is_current, count(*), count(body) from public.orders group by all order by all"
    )
    assert query("history", versions) == [
        ("c", False, 5, 5),  # moved rows under their new keys: what was not sent comes from the source
        ("c", True, 1, 0),
        ("r", False, 60, 60),
        ("u", False, 10 + 5 + 10 + 1, 26),
        ("u", True, 5 + 5 + 10 + 29, 49),
    ]


def test_what_is_told_of_refused_rows_ends_when_their_table_is_copied_anew(over_kafka: Replica) -> None:
    """Of three partitions, one sees to it for all."""
    database = over_kafka.database
    database.execute(
        "create table t (id int primary key, v numeric(5, 2)); insert into t select n, n from generate_series(1, 30) n"
    )
    over_kafka.settings["warehouses.local"]["refused"] = "park_row"

    def count() -> int:
        return running.daemon.status().warehouses[0].dead_letters

    with over_kafka.running() as running:
        running.wait_live()
        database.execute("insert into t select n, 'NaN' from generate_series(31, 40) n")
        eventually(lambda: running.errors or count() == 10)
        database.execute("update t set v = 1 where id between 31 and 39")
        resync(running, "public.t")
        eventually(lambda: running.errors or count() == 1)
    over_kafka.catch_up()
    with duckdb.connect(str(over_kafka.target), read_only=True) as connection:
        assert connection.execute("select key from public._cdc_dead_letters").fetchall() == [
            ('{"id": "40"}',)
        ]
    [(lacking, extra)] = over_kafka.differences().values()
    assert list(lacking) == [("40", "NaN")]
    assert not extra
