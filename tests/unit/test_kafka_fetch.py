"""A rebalance in the midst of a fetch: what was fetched before it must not be taken for what follows the mark."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connectors.kafka.consuming import LibrdkafkaConsumer, Partition
from connectors.kafka.consuming_python import PythonConsumer
from connectors.kafka.settings import Settings

SETTINGS = Settings(bootstrap_servers="127.0.0.1:1", topic_prefix="t", connect_timeout=0.1)


def message(offset: int) -> Any:
    told = {
        "topic": "t",
        "partition": 0,
        "offset": offset,
        "key": b"k",
        "value": b"v",
        "headers": None,
        "error": None,
    }
    return SimpleNamespace(**{name: lambda value=value: value for name, value in told.items()})


class FakeLibrdkafka:
    """Gives offset 100, and at the next call a rebalance back to 50."""

    def __init__(self) -> None:
        self.calls = 0
        self.on_assign: Any = None

    def subscribe(self, topics: Any, on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        self.on_assign = on_assign

    def consume(self, count: int, timeout: float) -> list[Any]:
        self.calls += 1
        if self.calls == 1:
            return [message(100)]
        self.on_assign(self, [SimpleNamespace(topic="t", partition=0)])
        return [message(50)]

    def assign(self, places: Any) -> None:
        pass

    def resume(self, places: Any) -> None:
        pass

    def close(self) -> None:
        pass


def starts(partitions: list[Partition]) -> dict[Partition, int]:
    return dict.fromkeys(partitions, 50)


def test_librdkafka_forgets_what_it_gave_before_an_assignment() -> None:
    consumer = LibrdkafkaConsumer(SETTINGS, "g")
    consumer._consumer.close()
    consumer._consumer = FakeLibrdkafka()
    consumer.subscribe(["t"], starts, lambda _: None)
    assert [record.offset for record in consumer.fetch(10, 0)] == [50]
    consumer.close()


class FakePython:
    """One poll gives offset 100 and has a rebalance within, as from kafka-python's own thread."""

    def subscribe(self, topics: Any, listener: Any) -> None:
        self.listener = listener
        self.polls: list[int] = []

    def poll(self, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        from kafka.structs import TopicPartition

        self.polls.append(timeout_ms)
        place = TopicPartition("t", 0)
        if len(self.polls) == 1:
            self.listener.on_partitions_assigned({place})
        offset = 100 if len(self.polls) == 1 else 50
        return {place: [SimpleNamespace(offset=offset, key=b"k", value=b"v", headers=[])]}

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.fixture
def python_consumer(monkeypatch: pytest.MonkeyPatch) -> PythonConsumer:
    monkeypatch.setattr("kafka.KafkaConsumer", lambda **_: FakePython())
    consumer = PythonConsumer(SETTINGS, "g")
    consumer.subscribe(["t"], starts, lambda _: None)
    return consumer


def test_kafka_python_forgets_what_it_gave_before_an_assignment(python_consumer: PythonConsumer) -> None:
    assert python_consumer.fetch(10, 0) == []
    assert [record.offset for record in python_consumer.fetch(10, 0)] == [50]


def test_kafka_python_is_given_time_to_join_and_only_then(python_consumer: PythonConsumer) -> None:
    for _ in range(2):
        python_consumer.fetch(10, 0.1)
    assert python_consumer._consumer.polls == [2000, 100]


def test_a_leader_that_is_being_chosen_is_waited_for() -> None:
    from confluent_kafka import KafkaError, KafkaException

    consumer = LibrdkafkaConsumer(SETTINGS, "g")
    consumer._consumer.close()
    answers = [KafkaException(KafkaError(6)), KafkaException(KafkaError(5)), (3, 9)]

    def offsets(*_: Any, **__: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    consumer._consumer = SimpleNamespace(get_watermark_offsets=offsets, close=lambda: None)
    assert consumer.bounds(("t", 0)) == (3, 9)
    consumer.close()
