"""`cdc verify` on a running line: equal when it is, also under load; and every kind of difference is found and named."""

from __future__ import annotations

import threading

import duckdb
import pytest

from cdc.report import Report, TableReport
from cdc.status import TableStatus
from cdc.verify import verify
from tests.fixtures.line import Replica

SHOP = """
    create table orders (id bigint primary key, amount numeric(10,2), price float8, note text, at timestamptz);
    insert into orders select g, g / 100.0, g / 7.0, 'note ' || g, now() from generate_series(1, 1000) g;
    create table lines ("order" int, n int, what text, primary key ("order", n));
    insert into lines values (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'a'), (2, 2, '');
    create table log (line text, at int); alter table log replica identity full;
    insert into log values ('x', 1), ('x', 1), ('x', 2), ('', null), (null, null);
"""


def only(report: Report) -> TableReport:
    [found] = [table for table in report.tables if not table.equal]
    assert not report.equal
    return found


@pytest.fixture
def shop(replica: Replica) -> Replica:
    replica.database.execute(SHOP)
    return replica


def test_equal(shop: Replica) -> None:
    shop.database.execute("""
        create table empty (id int primary key);
        create table "Odd "" names" (k int, h text, n bool, r "char", "?hash" inet, "a;b%s" tsvector, primary key (h, k));
        insert into "Odd "" names" values (1, 'x', true, 'c', '10.0.0.1', 'a b'), (2, '', null, '', '::1/64', '');
        create table parts (id int primary key, v text) partition by hash (id);
        create table part_0 partition of parts for values with (modulus 2, remainder 0);
        create table part_1 partition of parts for values with (modulus 2, remainder 1);
        insert into parts select g, g from generate_series(1, 100) g;
        create table parent (id int primary key); create table child (more text) inherits (parent);
        insert into parent values (1); insert into child values (1, 'x'), (2, 'y'); alter table child replica identity full;
    """)
    shop.settings["source"]["exclude_columns"] = ["public.lines.what"]
    with shop.running() as running:
        running.wait_live()
        report = running.daemon.verify()
        assert report.equal, report
        rows = {table.table: (table.source_rows, table.target_rows) for table in report.tables}
        assert rows["public.parts"] == (100, 100)
        assert rows["public.parent"] == (1, 1)
        assert rows["public.child"] == rows['public.Odd " names'] == (2, 2)
        assert rows["public.empty"] == (0, 0)
        assert not [name for name in rows if "part_" in name]
        assert [table.table for table in running.daemon.verify(["public.o*"]).tables] == ["public.orders"]
    assert shop.database.query("select count(*) from pg_replication_slots where temporary") == [(0,)]


DIFFERENCES: dict[str, tuple[str, str, dict[str, list[str]]]] = {
    "a cell": ("update orders set note = 'other' where id = 17", "orders", {"different": ["id=17"]}),
    "the last bit": ("update orders set price = price * (1 + 2.3e-16) where id = 5", "orders", {"different": ["id=5"]}),
    "null for text": ("update lines set what = null where what = ''", "lines", {"different": ["(order=2, n=2)"]}),
    "a missing row": ("delete from orders where id = 1000", "orders", {"missing": ["id=1000"]}),
    "a row too many": ("insert into orders(id) values (-1)", "orders", {"unexpected": ["id=-1"]}),
    "a row twice": ("insert into orders from orders where id = 3", "orders", {"unexpected": ["id=3"]}),
    "a key": (
        'update lines set n = 7 where "order" = 1 and n = 2',
        "lines",
        {"missing": ["(order=1, n=2)"], "unexpected": ["(order=1, n=7)"]},
    ),
    "rows swapped": (
        "update lines set what = case what when 'a' then 'b' else 'a' end where \"order\" = 1",
        "lines",
        {"different": ["(order=1, n=1)", "(order=1, n=2)"]},
    ),
    "a copy of a row": ("insert into log values ('x', 1)", "log", {"unexpected": ["(line=x, at=1)"]}),
    "a copy less": ('delete from log where "at" = 2', "log", {"missing": ["(line=x, at=2)"]}),
    "null in a row without key": (
        "update log set line = '' where line is null",
        "log",
        {"missing": ["(line=NULL, at=NULL)"], "unexpected": ["(line=, at=NULL)"]},
    ),
    "every row": ("delete from lines", "lines", {"missing": [f"(order={o}, n={n})" for o in (1, 2) for n in (1, 2)]}),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_found_and_named(shop: Replica, name: str) -> None:
    statement, table, expected = DIFFERENCES[name]
    shop.catch_up()
    with duckdb.connect(str(shop.target)) as target:
        target.execute("use public")
        target.execute(statement)
    with shop.running() as running:
        report = only(running.daemon.verify())
    assert report.table == f"public.{table}"
    found = {kind: sorted(getattr(report, f"{kind}_keys")) for kind in ("missing", "unexpected", "different")}
    assert {kind: keys for kind, keys in found.items() if keys} == expected
    assert report.sampled is None
    assert not report.problem
    counted = report.source_rows - report.target_rows, report.missing - report.unexpected
    assert counted[0] == counted[1]


def test_many_differences_are_counted_and_some_named(shop: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.catch_up()
    with duckdb.connect(str(shop.target)) as target:
        target.execute(
            "use public; update orders set note = 'other' where id > 100; delete from orders where id <= 50"
        )
    with shop.running() as running:
        report = only(running.daemon.verify())
        assert (report.missing, report.unexpected, report.different) == (50, 0, 900)
        assert len(report.missing_keys) == len(report.different_keys) == 20
        monkeypatch.setattr("cdc.verify_table.SORTED", 100)
        report = only(running.daemon.verify())
        assert report.sampled == 0.1
        assert 0 < report.different + report.missing < 300


def test_equal_under_load(shop: Replica) -> None:
    """The source is written to all the time, and target and source differ at any moment that is not the same LSN."""
    stop = threading.Event()
    statements = (
        "insert into orders select max(id) + 1, 1, 1, 'new', clock_timestamp() from orders on conflict do nothing",
        "update orders set note = note || '.', at = clock_timestamp() where id = (select 1 + (random() * 900)::int)",
        "delete from orders where id = (select 1 + (random() * 900)::int)",
        'update lines set n = n + 1 where "order" = 1 and n = (select max(n) from lines)',
        "insert into log select 'x', (random() * 5)::int from generate_series(1, 20)",
        "delete from log where at = 3",
        "begin; update lines set what = what || 'z'; rollback",
    )

    def write(number: int) -> None:
        with shop.database.connect() as connection:
            while not stop.is_set():
                for statement in statements[number::2]:
                    connection.execute(statement.encode())

    with shop.running() as running:
        running.wait_live()
        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        try:
            reports = [running.daemon.verify() for _ in range(5)]
        finally:
            stop.set()
            for writer in writers:
                writer.join()
    assert [report for report in reports if not report.equal] == []
    assert len({report.lsn for report in reports}) == 5
    assert reports[0].tables != reports[-1].tables


def test_what_the_target_has_not_got_yet(shop: Replica) -> None:
    with shop.running() as running:
        running.wait_live()
        shop.database.execute("alter table orders add extra int default 7, add other text")
        assert running.daemon.verify().equal
        shop.database.execute("update orders set extra = 8 where id < 10; alter table lines add last text")
        assert running.daemon.verify().equal
    with duckdb.connect(str(shop.target)) as target:
        target.execute("drop table public.log")
    with shop.running() as running:
        report = only(running.daemon.verify())
    assert (report.problem, report.source_rows, report.target_rows) == ("the target has no such table", 5, 0)
    assert "cdc run" in report.mend


def test_a_table_that_is_not_ready_is_not_compared(shop: Replica) -> None:
    copying = TableStatus(name="public.log", state="copying")
    parked = TableStatus(name="public.lines", state="parked", reason="no key", mend="`cdc resync`")
    with shop.running() as running:
        running.wait_live()
        report = verify(shop.config.source, running.daemon.line().meet, statuses=lambda: [copying, parked])
    assert {table.table: table.problem for table in report.tables} == {
        "public.lines": "the table is parked: no key",
        "public.log": "the table is still being copied",
        "public.orders": "",
    }
    assert not report.equal


def test_rules_of_the_operator(replica: Replica) -> None:
    """Values kept in another form are equal; one that was replaced by NULL is not."""
    replica.settings["warehouses.local"] |= {
        "unconstrained_numeric": "decimal(38,9)",
        "unrepresentable": "null",
    }
    replica.settings["warehouses.local.columns"] = {'"public.t.f"': "VARCHAR"}
    db = replica.database
    db.execute("create table t (id int primary key, n numeric, f float8, fs float4[], ns numeric[])")
    db.execute(
        "insert into t values (1, 1.500, 0.1, '{0.1,NULL,NaN}', '{1.50,NULL,0.00}'), (2, 0.000, -0.0, '{}', '{}')"
    )
    with replica.running() as running:
        running.wait_live()
        assert running.daemon.verify().equal
        db.execute("insert into t values (3, 'NaN', 1, null, null)")
        assert only(running.daemon.verify()).different_keys == ["id=3"]
