"""Modes on a running line: PostgreSQL's own stream into four warehouses, each with another mode, over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdc.errors import ConfigError
from tests.fixtures.line import Replica, eventually

SETUP = """
    create table orders (id int primary key, state text, body text);
    insert into orders select g, 'new', case when g % 2 = 0 then repeat(md5(g::text), 200) end from generate_series(1, 20) g;
    create table log (line text, n int); alter table log replica identity full;
    insert into log values ('a', 1), ('a', 1), ('b', 2);
"""
CHANGES = (
    "update orders set state = 'paid' where id <= 6; delete from orders where id = 6; delete from log where line = 'b'",
    "update orders set id = 102 where id = 2; update orders set id = 2, state = 'swapped' where id = 4",
    "insert into orders values (6, 'again', null); update orders set state = 'sent' where id = 102;"
    "insert into log values ('b', 2)",
    "begin; insert into orders values (200, 'brief', 'x'); delete from orders where id = 200; commit",
)


@pytest.fixture
def kept(replica: Replica, tmp_path: Path) -> Replica:
    """Tables `orders` and `log` in all modes; a history of `log`, which has no key, is a change log."""
    replica.database.execute(SETUP)
    del replica.settings["warehouses.local"]
    for mode in ("upsert", "soft_delete", "history", "append"):
        replica.settings[f"warehouses.{mode}"] = {
            **{"kind": "duckdb", "path": str(tmp_path / f"{mode}.duckdb"), "threads": 1, "mode": mode},
            **{"metadata": ["op", "commit_ts"], "prefix": "r_"},
        }
    replica.settings['warehouses.history.tables."public.l*"'] = {"mode": "append", "target": "logs.lines"}
    return replica


def query(replica: Replica, mode: str, sql: str) -> list[tuple[Any, ...]]:
    path = replica.settings[f"warehouses.{mode}"]["path"]
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_mode_is_true_to_the_source(kept: Replica) -> None:
    for change in CHANGES:
        with kept.running() as running:
            running.wait_live()
            kept.database.execute(change)
            kept.database.execute("update orders set state = state || '!' where id = 10")
            report = running.daemon.verify()
            assert report.equal, report
    told = {(each.table, each.warehouse): each.problem for each in report.tables}
    assert {where for where, problem in told.items() if problem} == {
        *(("public.log", "append"), ("public.orders", "append"), ("public.log", "history")),
    }
    gone = "select id, state, length(body), _cdc_op from public.r_orders where _cdc_deleted_at is not null order by id"
    assert query(kept, "soft_delete", gone) == [(4, "paid", 6400, "u"), (200, "brief", 1, "d")]
    versions = "select state, length(body), _cdc_op, _cdc_is_current, _cdc_valid_to is null from public.r_orders where id = {}"
    assert query(kept, "history", versions.format("6 order by _cdc_position")) == [
        ("new", 6400, "r", False, False),
        ("paid", 6400, "u", False, False),
        ("again", None, "c", True, True),
    ]
    assert query(kept, "history", versions.format("102 order by _cdc_position")) == [
        ("paid", 6400, "u", False, False),
        ("sent", 6400, "u", True, True),
    ]
    [(ten,)] = query(kept, "history", "select count(*) from public.r_orders where id = 10")
    assert ten == 1 + len(CHANGES)
    assert query(kept, "append", "select _cdc_op, count(*) from public.r_orders group by 1 order by 1") == [
        *(("c", 2), ("d", 4), ("r", 20), ("u", 6 + 2 + 1 + len(CHANGES))),
    ]
    assert query(kept, "history", "select line, _cdc_op from logs.lines order by _cdc_position, line") == [
        *(("a", "r"), ("a", "r"), ("b", "r"), ("b", "d"), ("b", "c")),
    ]


def test_a_truncated_table(kept: Replica) -> None:
    with kept.running() as running:
        running.wait_live()
        kept.database.execute("truncate orders, log; insert into orders values (1, 'first', null)")
        report = running.daemon.verify()
        assert report.equal, report
    rows = "select count(*), count(*) filter (where {} is null) from public.r_orders"
    assert query(kept, "soft_delete", rows.format("_cdc_deleted_at")) == [(20, 1)]
    assert query(kept, "history", rows.format("_cdc_valid_to")) == [(21, 1)]
    log = query(
        kept, "append", "select _cdc_op, id from public.r_orders where _cdc_op <> 'r' order by _cdc_position"
    )
    assert log == [("t", None), ("c", 1)]


def test_a_key_that_moves_to_a_new_column_leaves_one_live_row_of_each(kept: Replica) -> None:
    with kept.running() as running:
        running.wait_live()
    kept.database.execute(
        "alter table orders drop constraint orders_pkey, add column n bigserial primary key"
    )
    with kept.running() as running:
        same = lambda: [each.warehouse for each in running.daemon.verify().tables if each.equal]  # noqa: E731
        eventually(
            lambda: same().count("soft_delete") == 2 and "history" in same(), "the table is copied anew"
        )
    rows = "select count(*), count(n) from public.r_orders where {} is null"
    assert query(kept, "soft_delete", rows.format("_cdc_deleted_at")) == [(20, 20)]
    assert query(kept, "history", rows.format("_cdc_valid_to")) == [(20, 20)]


def test_a_difference_is_found_under_the_targets_name(kept: Replica) -> None:
    with kept.running() as running:
        running.wait_live()
    path = kept.settings["warehouses.soft_delete"]["path"]
    with duckdb.connect(path) as connection:
        connection.execute("update public.r_orders set _cdc_deleted_at = now() where id = 7")
    with kept.running() as running:
        running.wait_live()
        [wrong] = [each for each in running.daemon.verify().tables if not each.equal]
    assert (wrong.warehouse, wrong.table, wrong.missing_keys) == ("soft_delete", "public.orders", ["id=7"])


def test_two_tables_of_one_name_are_told_before_anything_is_copied(kept: Replica) -> None:
    kept.settings['warehouses.append.tables."public.log"'] = {"target": "r_ORDERS"}
    with pytest.raises(ConfigError, match="would be the same table"), kept.running():
        pass
