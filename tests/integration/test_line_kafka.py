"""The line over Kafka, as a user has it: PostgreSQL, a broker, DuckDB, and the commands that join them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdc import config_file
from cdc.ask import ask_status
from cdc.commands.offline import look
from cdc.errors import ConfigError
from cdc.lsn import parse_lsn
from cdc.status import Status
from connectors.kafka import Settings
from connectors.kafka.consuming import read_all
from tests.fixtures.cli import Cli
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, are_live, eventually
from tests.fixtures.postgres import Database

SHOP = """
    create table customers (id int primary key, name text, note text);
    create table orders (id int primary key, customer int, total numeric(10, 2), at timestamptz default now());
    create table visits (page text, n int);
    alter table visits replica identity full;
    insert into customers select n, 'name ' || n, repeat('x', n) from generate_series(1, 500) n;
    insert into orders select n, n % 500, n / 7.0 from generate_series(1, 2000) n;
    insert into visits values ('/', 1), ('/', 1), ('/cart', 2);
"""
CHANGES = """
    update customers set name = 'new ' || id where id % 3 = 0;
    delete from orders where id % 5 = 0;
    insert into visits values ('/', 1);
    delete from visits where page = '/cart';
    update customers set id = id + 1000 where id % 10 = 1;
    insert into orders select n, 1, 1 from generate_series(3000, 3500) n;
"""


pytestmark = pytest.mark.timeout(300)  # several processes each, on a machine that may be busy


@pytest.fixture
def over_kafka(database: Database, tmp_path: Path, kafka: Address, prefix: str) -> Replica:
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix}
    return Replica(
        database,
        tmp_path,
        transport={**transport, "partitions": 3, "discover_interval": 1.0, "linger": 0.005},
    )


def test_copy_changes_and_a_restart(over_kafka: Replica) -> None:
    database = over_kafka.database
    database.execute(SHOP)
    over_kafka.assert_equal()
    database.execute(CHANGES)
    over_kafka.assert_equal()
    with over_kafka.running() as running:
        database.execute("update orders set total = total + 1; delete from customers where id < 100")
        database.execute("truncate visits; insert into visits values ('again', 1)")
        running.wait_live()
        with written_to(database):
            report = running.daemon.verify()
        assert report.equal, report
        assert sum(each.source_rows for each in report.tables) > 1000
    over_kafka.assert_equal()


def test_reader_and_applier_in_processes_of_their_own(over_kafka: Replica, tmp_path: Path) -> None:
    """Whichever is first, and whichever is away for a while."""
    database, cli = over_kafka.database, Cli(tmp_path)
    database.execute(SHOP)
    applying, reading = listening(over_kafka), listening(over_kafka)

    def behind() -> int | None:
        status = said(over_kafka, applying)
        return status.warehouses[0].records_behind if status else None

    def partitions() -> int:
        status = said(over_kafka, applying)
        return len(status.warehouses[0].partitions) if status else 0

    with cli.started("apply", **applying) as applier:
        eventually(lambda: state(over_kafka, applying) == "streaming", "it waits for topics")
        with cli.started("read", **reading) as reader:
            await_published(over_kafka, reading)
            database.execute(CHANGES)
            await_published(over_kafka, reading)
            eventually(lambda: behind() == 0, "all is applied")
            eventually(lambda: partitions() == 9, "the brokers have told of every partition")
            with written_to(database):
                assert cli("verify", "--json", **applying).json["equal"]
                assert "fills no warehouse" in cli("verify", code=1, **reading).text
            assert cli.stop(applier).code == 0
            database.execute(
                "delete from orders where id > 3000; insert into customers values (9000, 'x', 'y')"
            )
            await_published(over_kafka, reading)
            assert cli.stop(reader).code == 0
    with cli.started("apply", "local", **applying) as applier:
        eventually(lambda: behind() == 0, "the rest is applied")
        assert cli.stop(applier).code == 0
    assert over_kafka.differences() == {}
    alone = look(over_kafka.config)
    assert {table.state for table in alone.tables} == {"live"}
    assert alone.warehouses[0].records_behind == 0


@contextmanager
def written_to(database: Database) -> Iterator[None]:
    """Meanwhile, rows change all the time."""
    stop = threading.Event()

    def write() -> None:
        with database.connect() as connection:
            while not stop.wait(0.005):
                connection.execute(
                    "update orders set total = total + 1 where id % 500 = (random() * 500)::int"
                )
                connection.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def listening(replica: Replica) -> dict[str, str]:
    """The environment of a process of this configuration with an HTTP address of its own."""
    replica.listen()
    return {"CDC_HTTP__LISTEN": replica.settings["http"]["listen"], "CDC_CONFIG": str(replica.toml)}


def said(replica: Replica, process: dict[str, str]) -> Status | None:
    return ask_status(config_file.load(replica.toml, process))


def state(replica: Replica, process: dict[str, str]) -> str:
    status = said(replica, process)
    return status.state if status else ""


def await_published(replica: Replica, process: dict[str, str]) -> None:
    """All that is committed now; what is written later may not be confirmed for seconds."""
    (lsn,) = replica.database.query("select pg_current_wal_lsn()::text")[0]

    def is_published() -> bool:
        status = said(replica, process)
        confirmed = status.source.confirmed_lsn if status and are_live(status) else None
        return confirmed is not None and parse_lsn(confirmed) >= parse_lsn(lsn)

    eventually(is_published, f"{lsn} is published")


@pytest.mark.parametrize("topics", [False, True])
def test_after_a_drop_all_is_copied_again(over_kafka: Replica, tmp_path: Path, topics: bool) -> None:
    """Also where a table has lost rows meanwhile, of which nobody was told."""
    database, cli = over_kafka.database, Cli(tmp_path)
    database.execute(SHOP)
    over_kafka.assert_equal()
    dropped = cli("drop", "--yes", *["--topics"] * topics, CDC_CONFIG=str(over_kafka.toml)).out
    assert ".cdc-progress" in dropped
    assert (".public.orders" in dropped) == topics
    database.execute("delete from orders where id < 1000; insert into visits values ('new', 7)")
    over_kafka.assert_equal()


def test_a_warehouse_does_not_change_its_transport(over_kafka: Replica, tmp_path: Path) -> None:
    """Neither way, unless it begins anew."""
    database, cli = over_kafka.database, Cli(tmp_path)
    database.execute(SHOP)
    transports = [over_kafka.settings["transport"], {}]
    for before, after in (transports, transports[::-1]):
        over_kafka.settings["transport"] = before
        over_kafka.assert_equal()
        over_kafka.settings["transport"] = after
        with pytest.raises(ConfigError, match="was filled through"):
            over_kafka.catch_up()
        cli("drop", "--yes", CDC_CONFIG=str(over_kafka.toml))
        over_kafka.assert_equal()
        over_kafka.settings["transport"] = before
        cli("drop", "--yes", CDC_CONFIG=str(over_kafka.toml))
        over_kafka.settings["transport"] = after


@pytest.mark.parametrize(
    ("transport", "of_events"),
    [
        ({"transactional": True, "transaction_rows": 100}, {}),
        ({"client": "kafka-python"}, {"provide_transaction_metadata": True}),
        ({}, {"compat": "debezium", "schemas_enable": True}),
    ],
    ids=["transactional", "kafka-python", "as Debezium"],
)
def test_whatever_the_form(over_kafka: Replica, transport: dict[str, Any], of_events: dict[str, Any]) -> None:
    over_kafka.settings["transport"] |= transport
    over_kafka.settings["format"] = of_events
    over_kafka.database.execute(SHOP)
    with over_kafka.running() as running:
        running.wait_live()
        over_kafka.database.execute(CHANGES)
        assert running.daemon.verify().equal
    over_kafka.database.execute("update customers set note = 'again'; delete from visits where page = '/'")
    over_kafka.assert_equal()


def test_what_else_is_told(over_kafka: Replica) -> None:
    """Heartbeats, messages and the ends of transactions have topics of their own, which no applier reads."""
    over_kafka.settings["format"] = {"heartbeat_interval_ms": 100, "provide_transaction_metadata": True}
    over_kafka.database.execute(SHOP)
    settings = over_kafka.config.transport
    assert isinstance(settings, Settings)

    def told(topic: str) -> list[bytes]:
        return [record.value or b"" for record in read_all(settings, topic)]

    prefix = settings.topic_prefix
    with over_kafka.running() as running:
        running.wait_live()
        over_kafka.database.execute("select pg_logical_emit_message(true, 'greeting', 'hello')")
        over_kafka.database.execute("delete from visits")
        assert running.daemon.verify().equal
        eventually(lambda: len(told(f"__debezium-heartbeat.{prefix}")) > 1, "it beats")
    (message,) = told(f"{prefix}.message")
    assert b'"prefix":"greeting","content":"aGVsbG8="' in message
    ends = [value for value in told(f"{prefix}.transaction") if b'"END"' in value]
    assert (
        b'"event_count":3,"data_collections":[{"data_collection":"public.visits","event_count":3}]'
        in ends[-1]
    )
    over_kafka.assert_equal()
