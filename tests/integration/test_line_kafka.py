"""The line over Kafka, as a user has it: PostgreSQL, a broker, DuckDB, and the commands that join them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica
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
    over_kafka.assert_equal()
