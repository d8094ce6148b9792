"""The contract of transports, put to each of ours: one class per kind, and Kafka by both of its clients."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cdc.config import TransportSettings
from cdc.interfaces import Checkpoint, Publisher, Subscriber
from cdc.memory import MemoryPublisher
from cdc.testing.transport_contract import TransportContract
from cdc.testing.transports import Sink, Transport
from connectors.kafka import Settings
from tests.fixtures.kafka_broker import Address
from tests.fixtures.kafka_ends import LIMITS, Ends


class MemoryTransport(Transport):
    def open(self, sink: Sink) -> tuple[Publisher, Subscriber]:
        publisher = MemoryPublisher("p", TransportSettings(), [LIMITS], time.monotonic)
        subscriber = publisher.subscriber()
        subscriber.restore(sink.controls)
        return publisher, subscriber


class KafkaTransport(Transport):
    def __init__(self, kafka: Address, prefix: str, **given: Any) -> None:
        self.ends = Ends(
            Settings(
                bootstrap_servers=kafka.plain,
                topic_prefix=prefix,
                discover_interval=1.0,
                linger=0.001,
                **given,
            )
        )

    def open(self, sink: Sink) -> tuple[Publisher, Subscriber]:
        subscriber = self.ends.subscriber(lambda: Checkpoint(sink.marks, sink.controls))
        return self.ends.publisher(), subscriber


class TestMemory(TransportContract):
    @pytest.fixture
    def transport(self) -> Transport:
        return MemoryTransport()


class TestLibrdkafka(TransportContract):
    @pytest.fixture
    def transport(self, kafka: Address, prefix: str) -> Transport:
        return KafkaTransport(kafka, prefix, partitions=3)


class TestLibrdkafkaTransactional(TransportContract):
    @pytest.fixture
    def transport(self, kafka: Address, prefix: str) -> Transport:
        return KafkaTransport(kafka, prefix, transactional=True, transaction_rows=10)


class TestKafkaPython(TransportContract):
    @pytest.fixture
    def transport(self, kafka: Address, prefix: str) -> Transport:
        return KafkaTransport(kafka, prefix, client="kafka-python", partitions=3)
