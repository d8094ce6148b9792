"""Over Kafka: a warehouse that pays for batches has records wait for company, until they are many, old, or asked for."""

from __future__ import annotations

import threading
import time

import pytest

from cdc.config import WarehouseSettings
from cdc.interfaces import Batch, Checkpoint
from connectors import kafka as connector
from connectors.kafka import Settings
from connectors.kafka.subscriber import KafkaSubscriber
from tests.fixtures.kafka_broker import Address
from tests.fixtures.kafka_ends import Ends
from tests.fixtures.line import Replica
from tests.integration.test_kafka_order import publish, transaction
from tests.integration.test_line_kafka import CHANGES, SHOP
from tests.integration.test_line_kafka import over_kafka as over_kafka
from tests.integration.test_resync import resync

LONG = 3600.0


@pytest.fixture
def ends(kafka: Address, prefix: str) -> Ends:
    return Ends(Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix, linger=0.005))


def published(ends: Ends, lsn: int, rows: int) -> None:
    publisher = ends.publisher()
    publish(publisher, transaction(lsn, "c", range(lsn, lsn + rows)))
    publisher.flush()
    publisher.close()


def patient(ends: Ends, **limits: object) -> KafkaSubscriber:
    """A subscriber that has what is published by now waiting in its buffers."""
    settings = WarehouseSettings(kind="test", when_idle="wait", **{"max_delay": LONG, **limits})  # type: ignore[arg-type]
    subscriber = ends.subscriber(Checkpoint, settings)
    subscriber.seek({})
    return subscriber


def receive_until_filled(subscriber: KafkaSubscriber) -> None:
    deadline = time.monotonic() + 60
    while not subscriber.fill()[0]:
        assert subscriber.receive(0.2) is None
        assert time.monotonic() < deadline


def receive(subscriber: KafkaSubscriber) -> Batch:
    deadline = time.monotonic() + 60
    while (batch := subscriber.receive(0.5)) is None:
        assert time.monotonic() < deadline
    return batch


def test_until_they_are_many(ends: Ends) -> None:
    published(ends, 10, 3)
    subscriber = patient(ends, batch_rows=5)
    receive_until_filled(subscriber)
    assert [subscriber.receive(0.2) for _ in range(3)] == [None] * 3
    published(ends, 20, 2)
    assert receive(subscriber).rows == 5
    subscriber.close()


def test_until_the_first_is_old(ends: Ends) -> None:
    published(ends, 10, 1)
    begun = time.monotonic()
    subscriber = patient(ends, max_delay=3.0)
    receive_until_filled(subscriber)
    published(ends, 20, 1)
    assert receive(subscriber).rows == 2
    assert time.monotonic() - begun >= 3.0
    subscriber.close()


def test_until_somebody_waits_for_them(ends: Ends) -> None:
    """As `cdc verify` does, and an end by itself."""
    published(ends, 10, 3)
    subscriber = patient(ends)
    receive_until_filled(subscriber)
    reached: threading.Event = subscriber.reach(connector.ends(ends.settings, ends.wanted))
    batch = receive(subscriber)
    assert batch.rows == 3
    assert not reached.is_set()
    subscriber.commit(batch)
    receive_nothing(subscriber, reached)
    subscriber.close()


def receive_nothing(subscriber: KafkaSubscriber, reached: threading.Event) -> None:
    deadline = time.monotonic() + 60
    while not reached.is_set():
        assert subscriber.receive(0.2) is None
        assert time.monotonic() < deadline


def test_a_copy_a_truncate_and_a_copy_anew_wait_for_nothing_but_who_compares(over_kafka: Replica) -> None:
    """Partitions wait at a fence for each other, and not for company."""
    over_kafka.settings["warehouses.local"] |= {"when_idle": "wait", "max_delay": LONG}
    database = over_kafka.database
    database.execute(SHOP)
    with over_kafka.running() as running:
        running.wait_live()
        assert running.daemon.verify().equal
        database.execute(CHANGES)
        database.execute("truncate visits; insert into visits values ('again', 1)")
        assert running.daemon.verify().equal
        resync(running, "public.orders")
        database.execute("update orders set total = total + 1")
        assert running.daemon.verify().equal
        database.execute("delete from orders where id < 100")
    over_kafka.assert_equal()
