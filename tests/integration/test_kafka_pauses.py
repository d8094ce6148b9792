"""A partition that waited at a fence when the group's shares changed is read again, whoever has it then."""

from __future__ import annotations

import pytest

from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import Partition, open_consumer
from connectors.kafka.producing import UNKEYED, open_producer
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import eventually


@pytest.mark.parametrize("client", ["librdkafka", "kafka-python"])
def test_a_pause_ends_with_the_assignment(kafka: Address, prefix: str, client: str) -> None:
    settings = Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix).copy(client=client)
    topics = [f"{prefix}.public.a", f"{prefix}.public.b"]
    with Admin(settings) as admin:
        for topic in topics:
            admin.create(topic, 1, {})
    producer = open_producer(settings)
    producer.send(topics[0], b"row", None, (), UNKEYED)
    producer.flush()
    producer.close()
    assignments = 0

    def assigned(partitions: list[Partition]) -> dict[Partition, int]:
        nonlocal assignments
        assignments += 1
        return dict.fromkeys(partitions, 0)

    consumer = open_consumer(settings, prefix)
    try:
        consumer.subscribe(topics[:1], assigned, lambda _: None)
        eventually(lambda: consumer.fetch(10, 0.5), "it is read")
        consumer.pause((topics[0], 0))
        consumer.subscribe(topics, assigned, lambda _: None)
        eventually(lambda: consumer.fetch(10, 0.5), "it is read again")
        assert assignments > 1
    finally:
        consumer.close()
