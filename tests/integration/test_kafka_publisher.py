"""The publisher on a real broker: what it leaves behind, and what becomes of a record that is too large."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cdc.errors import TransportError
from cdc.wire import Record
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import Received, read_all
from connectors.kafka.publisher import KafkaPublisher
from tests.fixtures.kafka_broker import Address

CLIENTS = ("librdkafka", "kafka-python")
Make = Callable[..., Settings]


@pytest.fixture(params=CLIENTS)
def make(request: pytest.FixtureRequest, kafka: Address, prefix: str) -> Make:
    """Settings for each client in turn."""

    def settings(**given: Any) -> Settings:
        return Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix, client=request.param, **given)

    return settings


def open_publisher(settings: Settings) -> KafkaPublisher:
    return KafkaPublisher(settings, _records)


def _records(event: Any) -> Iterable[Record]:
    return event


def record(settings: Settings, value: bytes | None, key: bytes | None = b"k") -> Any:
    return [Record(f"{settings.topic_prefix}.public.t", key, value)]


def read(settings: Settings, topic: str = "public.t") -> list[Received]:
    return list(read_all(settings, f"{settings.topic_prefix}.{topic}"))


def native_threads() -> int:
    """librdkafka's are not Python's."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_nothing_goes_on_after_a_close_without_a_flush(make: Make) -> None:
    settings = make(linger=0.5)
    before = native_threads()
    publisher = open_publisher(settings)
    for _ in range(500):
        publisher.publish(record(settings, b"x" * 500))
    assert native_threads() > before
    publisher.close()
    until = time.monotonic() + 15
    while native_threads() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert native_threads() <= before


def test_records_without_key_stay_in_one_partition_and_in_order(make: Make) -> None:
    settings = make(partitions=4)
    publisher = open_publisher(settings)
    for n in range(200):
        publisher.publish(record(settings, b"%d" % n, None))
    publisher.flush()
    publisher.close()
    found = read(settings)
    assert [each.value for each in found] == [b"%d" % n for n in range(200)]
    assert {each.partition for each in found} == {0}


def test_a_topic_is_made_as_the_settings_say(make: Make) -> None:
    settings = make(partitions=3, cleanup_policy="compact", topic={"segment.bytes": "1048576"})
    publisher = open_publisher(settings)
    publisher.publish(record(settings, b"v"))
    publisher.flush()
    publisher.close()
    topic = f"{settings.topic_prefix}.public.t"
    with Admin(settings) as admin:
        assert admin.topics() == {topic: 3, settings.progress_topic: 1}
        configs = admin.configs([topic, settings.progress_topic])
    assert (configs[topic]["cleanup.policy"], configs[topic]["segment.bytes"]) == ("compact", "1048576")
    assert configs[settings.progress_topic]["cleanup.policy"] == "compact"


LARGE = b"\x00" * 2_000_000  # it would compress to nothing: its own size is what counts


def test_a_record_that_is_too_large_stops_the_reader(make: Make) -> None:
    settings = make()
    publisher = open_publisher(settings)
    with pytest.raises(TransportError, match="larger than its topic allows"):
        publisher.publish(record(settings, LARGE))
    publisher.close()


def test_or_raises_the_limit_of_its_topic(make: Make) -> None:
    settings = make(oversized="raise")
    publisher = open_publisher(settings)
    publisher.publish(record(settings, LARGE))
    publisher.flush()
    with pytest.raises(TransportError, match="max_record_bytes"):
        publisher.publish(record(settings.copy(), b"\x00" * (65 << 20)))
    publisher.close()
    assert [each.value for each in read(settings)] == [LARGE]


def test_or_goes_to_the_dead_letters_whole(make: Make) -> None:
    settings = make(oversized="dead_letter")
    publisher = open_publisher(settings)
    publisher.publish(record(settings, LARGE))
    publisher.publish(record(settings, b"small"))
    publisher.flush()
    publisher.close()
    assert publisher.dead_letters == 1
    assert [each.value for each in read(settings)] == [b"small"]
    (buried,) = read(settings, "cdc-dead-letters")
    assert (buried.key, buried.value) == (b"k", LARGE)
    headers = dict(buried.headers or ())
    assert headers["cdc.topic"] == f"{settings.topic_prefix}.public.t".encode()
    assert b"2000001 bytes are more than" in (headers["cdc.reason"] or b"")
