"""Values and columns that the target refuses, on a running line: set aside, told, and mended by a copy."""

from __future__ import annotations

import json
from io import StringIO

import duckdb
import pytest
from rich.console import Console

from cdc.commands.offline import look
from cdc.commands.status import whole
from cdc.errors import CdcError, ValueRefused
from cdc.query import QueryRequest
from cdc.status import Status
from tests.fixtures.line import Replica, Running, eventually
from tests.integration.test_resync import resync

SETUP = """
    create table t (id int primary key, v numeric(5, 2)); insert into t values (1, 1), (2, 2);
    create table other (id int primary key); insert into other values (1);
"""


SAID = "1 row left out, see table _cdc_dead_letters; `cdc resync TABLE` copies what can be kept by now"


def printed(status: Status) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(whole(status))
    return console.export_text()


def state(running: Running, table: str = "public.t") -> str:
    found = running.table(table)
    return found.state if found else ""


def test_a_table_is_parked_over_restarts_and_the_others_go_on(replica: Replica) -> None:
    db = replica.database
    db.execute(SETUP)
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (3, 'NaN'); insert into other values (2)")
        eventually(lambda: running.errors or state(running) == "parked")
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (4, 4); insert into other values (3)")
        table = running.table("public.t")
        assert table
        assert (table.state, table.mend) == ("parked", "`cdc resync public.t` copies it anew")
        assert "local: public.t.v: 1 value cannot be kept as DECIMAL(5,2) unaltered" in table.reason
        assert "NaN" in table.reason  # its kind, no value
        [told] = [each for each in running.daemon.verify().tables if each.table == "public.t"]
        assert "the table is parked" in told.problem
    replica.assert_equal("public.other")
    assert replica.target_rows("public.t").total() == 2
    [_, alone] = sorted(look(replica.config).tables, key=lambda each: each.name)
    assert (alone.state, alone.reason, alone.mend) == (table.state, table.reason, table.mend)


def test_a_parked_table_is_mended_by_a_resync(replica: Replica) -> None:
    db = replica.database
    db.execute(SETUP)
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (3, 'NaN'), (4, 4)")
        eventually(lambda: running.errors or state(running) == "parked")
        db.execute("update t set v = 3 where id = 3; delete from t where id = 1")
        resync(running, "public.t")
        eventually(lambda: running.errors or (state(running) == "live" and running.daemon.verify().equal))
        db.execute("insert into t values (5, 5)")
    replica.assert_equal()


def test_a_parked_table_that_is_written_anew_in_the_source_mends_itself(replica: Replica) -> None:
    """Its type changes to one that the target's column cannot become: the copy that follows replaces the column."""
    db = replica.database
    db.execute(SETUP)
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "alter table t alter v type uuid using gen_random_uuid(); update t set id = 5 where id = 2"
        )
        eventually(lambda: running.errors or running.daemon.verify().equal)
    replica.assert_equal()


def test_a_row_is_parked_and_counted(replica: Replica) -> None:
    db = replica.database
    db.execute(SETUP)
    replica.settings["warehouses.local"]["refused"] = "park_row"
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (3, 'NaN'), (4, 4); insert into other values (2)")
        eventually(lambda: running.errors or running.daemon.status().warehouses[0].dead_letters == 1)
        [note] = [each for each in running.daemon.status().notes if each.kind == "dead_letter"]
        assert (note.table, note.warehouse) == ("public.t", "local")
        counted = {"warehouse": "local", "table": "public.t"}
        assert running.daemon.registry.get_sample_value("cdc_dead_letters_total", counted) == 1
        assert SAID in printed(running.daemon.status())
    replica.catch_up()
    assert SAID in printed(look(replica.config))
    with duckdb.connect(str(replica.target), read_only=True) as connection:
        found = connection.execute(
            'select "table", key, reason, row from public._cdc_dead_letters'
        ).fetchall()
    assert found == [
        ("public.t", '{"id": "3"}', "public.t.v: 1 value cannot be kept as DECIMAL(5,2) unaltered", None)
    ]
    [(lacking, extra)] = replica.differences().values()
    assert list(lacking) == [("3", "NaN")]
    assert not extra


def test_what_is_told_of_a_table_ends_when_it_is_copied_anew(replica: Replica) -> None:
    db = replica.database
    db.execute(
        SETUP
        + "create table third (id int primary key, v numeric(5, 2)); insert into third values (1, 'NaN')"
    )
    replica.settings["warehouses.local"]["refused"] = "park_row"

    def told() -> list[tuple[str, str]]:
        query = QueryRequest('select "table", key from public._cdc_dead_letters order by all')
        try:
            lines = b"".join(running.daemon.query(query, lambda: False)).splitlines()[1:-1]
        except CdcError:
            return []  # not yet there
        return [tuple(json.loads(line)) for line in lines]

    def count() -> int:
        return running.daemon.status().warehouses[0].dead_letters

    of_third = ("public.third", '{"id": "1"}')
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (3, 'NaN'), (4, 'NaN'); insert into t values (5, 'NaN')")
        eventually(lambda: running.errors or count() == 4)
        keys = ['{"id": "3"}', '{"id": "4"}', '{"id": "5"}']
        eventually(lambda: running.errors or told() == [*(("public.t", key) for key in keys), of_third])
        db.execute("update t set v = 3 where id in (3, 4)")
        resync(running, "public.t")
        eventually(lambda: running.errors or count() == 2)
        eventually(
            lambda: running.errors or told() == [("public.t", keys[2]), of_third],
            "the one that is still refused is told anew",
        )
        db.execute("update t set v = 5 where id = 5")
        resync(running, "public.t")
        eventually(lambda: running.errors or count() == 1)
        eventually(lambda: running.errors or told() == [of_third])
    with replica.running() as running:
        eventually(lambda: running.errors or count() == 1)
        eventually(lambda: running.errors or told() == [of_third])
    replica.assert_equal("public.t")


def test_stop_stops(replica: Replica) -> None:
    db = replica.database
    db.execute(SETUP)
    replica.settings["warehouses.local"]["refused"] = "stop"
    with pytest.raises(ValueRefused), replica.running() as running:  # noqa: PT012  at the end of the line
        running.wait_live()
        db.execute("insert into t values (3, 'NaN')")
        eventually(lambda: running.errors)
