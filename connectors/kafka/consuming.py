"""Records from the brokers, by either client, as plain values. Where to start is always told, never guessed.

Both raise TransportError and its kin; what a client gets over by itself is not told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import structlog

from cdc.errors import TransportUnavailable
from connectors.kafka import clients, diagnosis
from connectors.kafka.failures import PASSING, classify, number
from connectors.kafka.settings import Settings

log = structlog.get_logger()

Partition = tuple[str, int]
Headers = list[tuple[str, bytes | None]] | None
Assigned = Callable[[list[Partition]], Mapping[Partition, int]]
"""Told of new partitions, answers where to start in each."""
Revoked = Callable[[list[Partition]], None]
WHAT = "records cannot be read"
PATIENCE = 30.0
END_OF_PARTITION = -191


class Received(NamedTuple):
    """One record as it was received."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Consumer(Protocol):
    """Used by one thread."""

    def subscribe(self, topics: Collection[str], assigned: Assigned, revoked: Revoked) -> None:
        """Share these topics with the group's others. The callbacks are called from within `fetch`."""

    def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions, alone."""

    def fetch(self, count: int, timeout: float) -> list[Received]:
        """What is there, at once if there is something; at most so many, in order per partition."""

    def pause(self, partition: Partition) -> None:
        """Give nothing more of an assigned partition, but for what is on its way to the caller."""

    def resume(self, partition: Partition) -> None:
        """Go on with it, where it was paused."""

    def position(self, partition: Partition) -> int:
        """The next offset to be given; behind what is for the brokers alone, once there is no more."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the group's coordinator, in the background; a failure is not told."""

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """What the group has committed, where it has."""

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that is there, and the next one to come (behind what is committed, with transactions)."""

    def topics(self) -> Mapping[str, int]:
        """Topics that this user may see, and how many partitions each has."""

    def close(self) -> None:
        """Leave the group. May be called twice."""


def open_consumer(settings: Settings, group: str) -> Consumer:
    """By the settings' client. Raises at once what would keep it from coming in."""
    diagnosis.check(settings)
    if settings.client == "librdkafka":
        return LibrdkafkaConsumer(settings, group)
    from connectors.kafka.consuming_python import PythonConsumer

    return PythonConsumer(settings, group)


def read_all(settings: Settings, topic: str, last: int | None = None) -> Iterator[Received]:
    """All records of a topic, or the last ones of each partition, up to where it ends now; nothing if there is no such topic."""
    consumer = open_consumer(settings, settings.group_of("reading"))
    try:
        count = consumer.topics().get(topic, 0)
        bounds = {(topic, partition): consumer.bounds((topic, partition)) for partition in range(count)}
        ends = {partition: high for partition, (low, high) in bounds.items() if low < high}
        back = max(ends.values(), default=0) if last is None else last
        consumer.assign({each: max(bounds[each][0], end - back) for each, end in ends.items()})
        until = time.monotonic() + PATIENCE
        while ends:
            for record in consumer.fetch(10_000, 0.1):
                until = time.monotonic() + PATIENCE
                yield record
            for partition in [each for each, end in ends.items() if consumer.position(each) >= end]:
                del ends[partition]
            if time.monotonic() > until:
                raise TransportUnavailable(WHAT, why="nothing has come for a while", where=topic)
    finally:
        consumer.close()


def tell_lost(partitions: Collection[Partition]) -> None:
    """The group has given them away without a word of ours: this process stood still, or did not reach the brokers."""
    names = sorted(f"{topic}/{number}" for topic, number in partitions)
    log.warning("partitions lost", partitions=names, why="not heard of for longer than the session lasts")


class LibrdkafkaConsumer:
    """confluent-kafka."""

    def __init__(self, settings: Settings, group: str) -> None:
        import confluent_kafka

        self._kafka = confluent_kafka
        self._where = settings.bootstrap_servers
        self._failure: Any = None
        self._ends: dict[Partition, int] = {}
        self._assignments = 0
        config = clients.librdkafka_consumer(settings, group) | {"error_cb": self._reported}
        self._consumer = self._call(self._where, lambda: confluent_kafka.Consumer(config))
        self._closed = False

    def _call(self, where: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except self._kafka.KafkaException as error:
            raise classify(self._failure or error, what=WHAT, where=where) from error

    def _reported(self, error: Any) -> None:
        if number(error) not in PASSING:
            self._failure = self._failure or error

    def subscribe(self, topics: Collection[str], assigned: Assigned, revoked: Revoked) -> None:
        def on_assign(consumer: Any, partitions: list[Any]) -> None:
            self._assignments += 1
            starts = assigned([(each.topic, each.partition) for each in partitions])
            places = [self._place(partition, starts[partition]) for partition in starts]
            consumer.assign(places)
            if places:  # librdkafka remembers that one was paused, over a rebalance that took it away and gave it back
                consumer.resume(places)

        def on_revoke(consumer: Any, partitions: list[Any]) -> None:
            revoked([(each.topic, each.partition) for each in partitions])
            consumer.unassign()

        def on_lost(consumer: Any, partitions: list[Any]) -> None:
            tell_lost([(each.topic, each.partition) for each in partitions])
            on_revoke(consumer, partitions)

        self._call(
            self._where,
            lambda: self._consumer.subscribe(
                list(topics), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost
            ),
        )

    def _place(self, partition: Partition, offset: int) -> Any:
        return self._kafka.TopicPartition(*partition, offset)

    def assign(self, starts: Mapping[Partition, int]) -> None:
        self._call(
            self._where, lambda: self._consumer.assign([self._place(*each) for each in starts.items()])
        )

    def fetch(self, count: int, timeout: float) -> list[Received]:
        messages = self._call(self._where, lambda: self._consumer.consume(1, timeout))
        if messages:
            before = self._assignments
            more = self._call(self._where, lambda: self._consumer.consume(count - 1, 0))
            # a rebalance between the two: the first is from before, and would hide what lies between the mark and there
            messages = messages + more if self._assignments == before else more
        if self._failure is not None:
            raise classify(self._failure, what=WHAT, where=self._where)
        records = []
        for message in messages:
            if message.error() is None:
                records.append(
                    Received(
                        message.topic(),
                        message.partition(),
                        message.offset(),
                        message.key(),
                        message.value(),
                        message.headers(),
                    )
                )
            elif number(message.error()) == END_OF_PARTITION:
                self._ends[message.topic(), message.partition()] = message.offset()
            elif number(message.error()) not in PASSING:
                raise classify(message.error(), what=WHAT, where=message.topic() or self._where)
        return records

    def pause(self, partition: Partition) -> None:
        self._call(partition[0], lambda: self._consumer.pause([self._place(partition, -1)]))

    def resume(self, partition: Partition) -> None:
        self._call(partition[0], lambda: self._consumer.resume([self._place(partition, -1)]))

    def position(self, partition: Partition) -> int:
        given = int(self._consumer.position([self._place(partition, -1)])[0].offset)
        return max(given, self._ends.get(partition, -1))

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        places = [self._place(*each) for each in offsets.items()]
        self._call(self._where, lambda: self._consumer.commit(offsets=places, asynchronous=True))

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        places = [self._place(each, -1) for each in partitions]
        found = self._call(self._where, lambda: self._consumer.committed(places, timeout=PATIENCE))
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def bounds(self, partition: Partition) -> tuple[int, int]:
        place, until = self._place(partition, -1), time.monotonic() + PATIENCE
        while True:
            try:
                found: tuple[int, int] = self._call(
                    partition[0], lambda: self._consumer.get_watermark_offsets(place, timeout=PATIENCE)
                )
                return found
            except TransportUnavailable:  # a topic that was just made is still choosing its leader
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def topics(self) -> Mapping[str, int]:
        found = self._call(self._where, lambda: self._consumer.list_topics(timeout=PATIENCE))
        return {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._consumer.close()
