"""Records from the brokers by kafka-python; see `consuming.Consumer`.

The callbacks of a rebalance run where no question to the brokers may be asked. So new partitions are only held there, and
put in their places by the `fetch` that the rebalance happened in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import kafka
import kafka.errors
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata, TopicPartition

from cdc.errors import TransportUnavailable
from connectors.kafka import clients
from connectors.kafka.consuming import WHAT, Assigned, Partition, Received, Revoked, tell_lost
from connectors.kafka.failures import classify
from connectors.kafka.heard import ear
from connectors.kafka.settings import Settings

JOINING = 2.0
"""Seconds that a poll may take, at least, while the group is being joined. A join that ends between two polls is begun
again by kafka-python (3.0.12, `join_group_async`), so with short polls on a busy machine it never ends."""
ERRORS = (kafka.errors.KafkaError, OSError)


class PythonConsumer:
    """kafka-python."""

    def __init__(self, settings: Settings, group: str) -> None:
        ear()
        self._where = settings.bootstrap_servers
        self._new: set[Any] = set()
        self._assigned: Assigned | None = None
        self._closed = self._joining = False
        config = clients.kafka_python_consumer(settings, group)
        config["partition_assignment_strategy"] = [RoundRobinPartitionAssignor]
        self._consumer: Any = self._call(lambda: kafka.KafkaConsumer(**config))
        self._end_polls_with_joins()

    def _end_polls_with_joins(self) -> None:
        """New partitions are paused, so that the poll in which they came (3.0.12, `poll`) would wait in vain till its end."""
        poll_once = self._consumer._poll_once

        def wrapped(*arguments: Any, **named: Any) -> Any:
            return poll_once(*arguments, **named) or {place: [] for place in self._new}

        self._consumer._poll_once = wrapped

    def _call(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except ERRORS as error:
            raise classify(error, what=WHAT, where=self._where) from error
        except KeyError as error:  # of its assignor (3.0.12), about a member that has just gone
            raise TransportUnavailable(
                WHAT, why="a member of the group has gone", where=self._where
            ) from error

    def subscribe(self, topics: Collection[str], assigned: Assigned, revoked: Revoked) -> None:
        outer, self._assigned = self, assigned

        class Listener(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # it has no types
            def on_partitions_assigned(self, partitions: Any) -> None:
                for each in partitions:
                    outer._consumer.seek(each, 0)  # any place: it is not read before it has its own
                outer._consumer.pause(*partitions)
                outer._new.update(partitions)

            def on_partitions_revoked(self, partitions: Any) -> None:
                outer._joining = True
                outer._new.difference_update(partitions)
                revoked([(each.topic, each.partition) for each in partitions])

            def on_partitions_lost(self, partitions: Any) -> None:
                tell_lost([(each.topic, each.partition) for each in partitions])
                self.on_partitions_revoked(partitions)

        self._joining = True
        self._call(lambda: self._consumer.subscribe(list(topics), listener=Listener()))

    def assign(self, starts: Mapping[Partition, int]) -> None:
        self._call(lambda: self._consumer.assign([TopicPartition(*each) for each in starts]))
        for each, offset in starts.items():
            self._consumer.seek(TopicPartition(*each), offset)

    def fetch(self, count: int, timeout: float) -> list[Received]:
        patience = max(timeout, JOINING) if self._joining else timeout
        self._let_go()
        found = self._call(lambda: self._consumer.poll(int(patience * 1000), max_records=count))
        if self._new:
            for place in self._place():
                found.pop(place, None)  # from before: it would hide what lies between the mark and there
        return [
            Received(
                each.topic, each.partition, record.offset, record.key, record.value, record.headers or None
            )
            for each, records in found.items()
            for record in records
        ]

    def _let_go(self) -> None:
        """kafka-python (3.0.12, `fetched_records`) gives what it had fetched of a partition that is not paused any more only
        while it has nothing in hand, and it keeps in its hand what it has given out."""
        fetcher = self._consumer._fetcher
        if not getattr(fetcher, "_next_partition_records", None):
            fetcher._next_partition_records = None

    def _place(self) -> set[Any]:
        """Put new partitions in their places, and name them."""
        assert self._assigned is not None
        new, self._new = self._new, set()
        self._joining = False
        starts = self._assigned([(each.topic, each.partition) for each in new])
        for each, offset in starts.items():
            self._consumer.seek(TopicPartition(*each), offset)
        self._consumer.resume(*new)
        return new

    def pause(self, partition: Partition) -> None:
        self._consumer.pause(TopicPartition(*partition))

    def resume(self, partition: Partition) -> None:
        self._consumer.resume(TopicPartition(*partition))

    def position(self, partition: Partition) -> int:
        return int(self._call(lambda: self._consumer.position(TopicPartition(*partition))))

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        places = {TopicPartition(*each): OffsetAndMetadata(at, "", -1) for each, at in offsets.items()}
        self._call(lambda: self._consumer.commit_async(places))

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        def ask() -> dict[Partition, int | None]:
            return {each: self._consumer.committed(TopicPartition(*each)) for each in partitions}

        found: dict[Partition, int | None] = self._call(ask)
        return {each: offset for each, offset in found.items() if offset is not None}

    def bounds(self, partition: Partition) -> tuple[int, int]:
        place = TopicPartition(*partition)
        low = self._call(lambda: self._consumer.beginning_offsets([place]))[place]
        high = self._call(lambda: self._consumer.end_offsets([place]))[place]
        return int(low), int(high)

    def topics(self) -> Mapping[str, int]:
        names = self._call(lambda: self._consumer.topics())
        return {name: len(self._consumer.partitions_for_topic(name) or ()) for name in names}

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._call(lambda: self._consumer.close(autocommit=False))
