"""What a PostgreSQL target refuses: told with the place and the reason, never with a value, and mended by what the hint says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from cdc.errors import CdcError, ColumnRefused, TargetError, TargetUnavailable, ValueRefused
from cdc.fold import Merge, Patch
from cdc.interfaces import Warehouse
from cdc.schema import Column, LogicalType, Table
from cdc.testing.targets import ID, KEYED, TEXT, checkpoint, chunk, put, row
from connectors import postgres
from tests.fixtures.postgres import Database

SMALL = Column("v", LogicalType("int2"), type_name="smallint")
NARROW = Table("public", "narrow", (ID, SMALL), primary_key=(0,), identity=(0,))
SECRET = "1234567"


def opened(database: Database, **settings: object) -> Warehouse:
    return postgres.connect(postgres.Settings(dsn=database.dsn, **settings), "reports")  # type: ignore[arg-type]


@pytest.fixture
def warehouse(database: Database) -> Iterator[Warehouse]:
    warehouse = opened(database, lock_timeout=0.3)
    yield warehouse
    warehouse.close()


BAD: dict[str, Callable[[], Merge]] = {
    "upsert": lambda: Merge(NARROW, upserts=[row("1", "2"), row("3", SECRET), row("4", None)]),
    "many": lambda: Merge(NARROW, upserts=[*(row(str(n), "1") for n in range(900)), row("901", SECRET)]),
    "patch": lambda: Merge(NARROW, patches=[Patch(row("1", SECRET), row("1"))]),
    "chunk": lambda: chunk(NARROW, f"1,2\n3,{SECRET}\n", 2),
}


@pytest.mark.parametrize("how", BAD)
def test_a_refused_value_is_told_by_its_column(warehouse: Warehouse, how: str) -> None:
    put(warehouse, Merge(NARROW, upserts=[row("1", "1")]))
    with pytest.raises(ValueRefused) as raised:
        put(warehouse, BAD[how](), lsn=2)
    error: BaseException | None = raised.value
    assert raised.value.where == "public.narrow.v"
    assert raised.value.why.startswith("it is out of the type's range")
    assert '"public.narrow.v" = "text"' in raised.value.hint
    while error is not None:  # nor in what it comes from
        assert SECRET not in str(error)
        error = error.__cause__
    assert warehouse.state() == checkpoint(1)


def test_a_constraint_of_the_target_holds_and_is_named(warehouse: Warehouse, database: Database) -> None:
    put(warehouse, Merge(NARROW))
    database.execute("alter table narrow add constraint positive check (v > 0)")
    with pytest.raises(ValueRefused, match="positive") as raised:
        put(warehouse, Merge(NARROW, upserts=[row("1", "-77")]), lsn=2)
    assert raised.value.rule == "constraints"
    assert "-77" not in str(raised.value)
    database.execute("alter table narrow drop constraint positive")
    put(warehouse, Merge(NARROW, upserts=[row("1", "-77")]), lsn=2)


def test_a_foreign_key_of_the_target(warehouse: Warehouse, database: Database) -> None:
    """It refuses a row whose other end comes later in the batch, unless it is deferrable, or nothing of the kind is to fire."""
    put(warehouse, Merge(NARROW), Merge(KEYED, upserts=[row("1", "a", "b")]))
    database.execute("alter table narrow add constraint other foreign key (v) references keyed")
    late = Merge(NARROW, upserts=[row("1", "7")]), Merge(KEYED, upserts=[row("7", "a", "b")])
    with pytest.raises(ValueRefused, match=r"other.*deferrable"):
        put(warehouse, *late, lsn=2)
    skipping = opened(database, triggers="skip")
    put(skipping, *late, lsn=2)
    skipping.close()
    database.execute("alter table narrow alter constraint other deferrable initially deferred")
    warehouse.state()
    put(warehouse, Merge(NARROW, upserts=[row("2", "8")]), Merge(KEYED, upserts=[row("8", "a", "b")]), lsn=3)


def test_a_lock_that_somebody_holds_may_pass(warehouse: Warehouse, database: Database) -> None:
    put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
    with database.connect() as other, other.transaction():
        other.execute("lock table keyed")
        with pytest.raises(TargetUnavailable, match="lock"):
            put(warehouse, Merge(KEYED, upserts=[row("1", "c", "d")]), lsn=2)
    put(warehouse, Merge(KEYED, upserts=[row("1", "c", "d")]), lsn=2)


def test_a_session_that_was_ended_may_come_back(warehouse: Warehouse, database: Database) -> None:
    put(warehouse, Merge(KEYED))
    database.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cdc'")
    with pytest.raises(TargetUnavailable):
        put(warehouse, Merge(KEYED, upserts=[row("1", "c", "d")]), lsn=2)
    with pytest.raises(TargetUnavailable):
        warehouse.state()


def test_a_column_that_cannot_become_the_sources(warehouse: Warehouse, database: Database) -> None:
    database.execute("create table keyed (id date primary key, note text, body text)")
    with pytest.raises(ColumnRefused, match="date in the target") as raised:
        warehouse.evolve(KEYED)
    assert raised.value.column == "id"
    database.execute("drop table keyed; create view keyed as select 1 as id")
    with pytest.raises(TargetError, match="no table"):
        warehouse.evolve(KEYED)


def test_columns_are_widened_where_no_value_changes(warehouse: Warehouse, database: Database) -> None:
    database.execute("create table keyed (id int primary key, note varchar(3), body varchar)")
    database.execute("insert into keyed values (1, 'abc', 'd')")
    put(warehouse, Merge(KEYED, upserts=[row(str(1 << 40), "longer", "e")]))
    assert database.query("select * from keyed order by 1") == [(1, "abc", "d"), (1 << 40, "longer", "e")]


def test_the_key_of_the_source_becomes_the_targets(warehouse: Warehouse, database: Database) -> None:
    database.execute("create table keyed (id bigint, note text primary key, body text not null)")
    database.execute("insert into keyed values (1, 'a', 'b')")
    put(warehouse, Merge(KEYED, upserts=[row("1", "a", None), row("2", "a", None)]))
    assert database.query("select * from keyed order by 1") == [(1, "a", None), (2, "a", None)]


def test_what_a_role_may_not_do(database: Database) -> None:
    database.execute("create role loader login password 'x'")
    try:
        dsn = psycopg.conninfo.make_conninfo(database.dsn, user="loader", password="x")
        with pytest.raises(TargetError, match="permission denied") as raised:
            postgres.connect(postgres.Settings(dsn=dsn), "reports")
        assert not raised.value.retriable
        [check] = postgres.preflight(postgres.Settings(dsn=dsn))
        assert check.state == "fail"
        assert check.fix == f'grant create on database "{database.name}" to "loader"'
        database.execute(check.fix)
        [check] = postgres.preflight(postgres.Settings(dsn=dsn))
        assert check.state == "ok"
        postgres.connect(postgres.Settings(dsn=dsn), "reports").close()
        database.execute(f'revoke create on database "{database.name}" from loader')
        again = postgres.connect(postgres.Settings(dsn=dsn), "reports")  # what is there needs not be created
        with pytest.raises(TargetError, match="permission denied"):
            again.evolve(Table("elsewhere", "t", (ID, Column("v", TEXT)), primary_key=(0,)))
        again.close()
    finally:
        database.execute("drop owned by loader; drop role loader")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "wrong"}, "password"),
        ({"dbname": "never"}, "does not exist"),
        ({"options": "-c default_transaction_read_only=on", "port": "1"}, "refused"),
    ],
)
def test_a_target_that_cannot_be_reached(database: Database, change: dict[str, str], message: str) -> None:
    settings = postgres.Settings(dsn=psycopg.conninfo.make_conninfo(database.dsn, **change))
    with pytest.raises(CdcError, match=message) as raised:
        postgres.connect(settings, "reports")
    assert raised.value.retriable == (message == "refused")
    assert raised.value.hint
    [check] = postgres.preflight(settings)
    assert check.state == "fail"
    assert message in check.detail
    assert not postgres.exists(settings)
