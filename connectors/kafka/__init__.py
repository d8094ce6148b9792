"""Kafka as the transport. Importing this imports no client."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from connectors.kafka.settings import Settings

if TYPE_CHECKING:
    from cdc.check import Check
    from cdc.config import WarehouseSettings
    from cdc.events import Event
    from cdc.format import FormatSettings
    from cdc.interfaces import Checkpoint, Publisher
    from cdc.registry import Letters, LogSubscriber
    from cdc.status import PartitionLag
    from cdc.wire import Encoder
    from cdc.wire.decoder import AnyRecord

__all__ = [
    "REQUIRES",
    "Settings",
    "check",
    "drop",
    "ends",
    "lag",
    "last_control",
    "open_letters",
    "open_publisher",
    "open_subscriber",
    "prefix",
    "progress",
    "records",
]

REQUIRES = ("confluent_kafka", "kafka")
LAST_CONTROLS = 200


def prefix(settings: Settings) -> str:
    """What the name of every topic begins with."""
    return settings.topic_prefix


def open_publisher(settings: Settings, encoder: Encoder) -> Publisher:
    """The reader's end."""
    from connectors.kafka.publisher import KafkaPublisher

    topics, of_events = encoder.topics, encoder.settings
    return KafkaPublisher(
        settings,
        encoder.encode,
        emptied=encoder.emptied if of_events.event_form == "debezium" else None,
        schemas=topics.schemas,
        single=(topics.transaction, topics.message, topics.heartbeat),
        sparing=not of_events.exact,
    )


def open_subscriber(
    settings: Settings,
    decode: Callable[[AnyRecord], Sequence[Event]],
    *,
    warehouse: str,
    limits: WarehouseSettings,
    wanted: Callable[[str], bool],
    state: Callable[[], Checkpoint],
) -> LogSubscriber:
    """One member of the warehouse's consumer group."""
    from connectors.kafka.subscriber import KafkaSubscriber

    return KafkaSubscriber(settings, decode, warehouse=warehouse, limits=limits, wanted=wanted, state=state)


def open_letters(settings: Settings, topic: str) -> Letters:
    """A warehouse's topic of dead letters."""
    from connectors.kafka.letters import LetterTopic

    return LetterTopic(settings, topic)


def check(settings: Settings, letters: Collection[str] = ()) -> Sequence[Check]:
    """What can be found wrong with brokers and topics without changing anything."""
    from connectors.kafka.preflight import check_kafka

    return list(check_kafka(settings, letters))


def drop(settings: Settings, of_events: FormatSettings, *, everything: bool) -> Sequence[str]:
    """Delete the topic of the reader's progress, and with `everything` all topics under the prefix."""
    from cdc.wire.names import Topics
    from connectors.kafka.admin import Admin

    topics = Topics(of_events, settings.topic_prefix)
    ours = {settings.progress_topic}
    with Admin(settings) as admin:
        found = sorted(
            topic for topic in admin.topics("") if topic in ours or (everything and topics.has(topic))
        )
        admin.delete(found)
    return found


def records(settings: Settings, topic: str) -> Iterable[AnyRecord]:
    """All that is on a topic now."""
    from connectors.kafka.consuming import read_all

    return read_all(settings, topic)


def progress(settings: Settings) -> Mapping[str, bytes]:
    """The control records of the reader's runs."""
    from connectors.kafka.fences import KEPT

    found = {
        record.key.decode(): record.value or b""
        for record in records(settings, settings.progress_topic)
        if record.key is not None
    }
    return {key: value for key, value in found.items() if value and not key.startswith(KEPT)}


def last_control(settings: Settings, key: str) -> bytes | None:
    """Looked for among the last records only: the topic may not have been compacted for long."""
    from connectors.kafka.consuming import read_all

    found = None
    for record in read_all(settings, settings.progress_topic, last=LAST_CONTROLS):
        if record.key == key.encode():
            found = record.value
    return found


def lag(settings: Settings, warehouse: str, wanted: Callable[[str], bool]) -> Sequence[PartitionLag]:
    """By what the warehouse's group has committed."""
    from cdc.status import PartitionLag
    from connectors.kafka.admin import Admin

    with Admin(settings) as admin:
        topics = [topic for topic in admin.topics("") if wanted(topic)]
        found = admin.lag(settings.group_of(warehouse), topics) if topics else []
        return [
            PartitionLag(topic=topic, partition=number, applied=done, end=end, records=records)
            for topic, number, done, end, records in found
        ]


def ends(settings: Settings, wanted: Callable[[str], bool]) -> Mapping[str, int]:
    """Where the partitions end that have anything."""
    from connectors.kafka.admin import Admin
    from connectors.kafka.holding import mark_name

    with Admin(settings) as admin:
        found = {topic: count for topic, count in admin.topics("").items() if wanted(topic)}
        partitions = [(topic, number) for topic, count in found.items() for number in range(count)]
        return {mark_name(each): end for each, end in admin.offsets(partitions).items() if end}
