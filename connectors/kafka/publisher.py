"""Kafka's publisher: events are encoded, and their records go to the topics of one prefix.

    publish   rows go to the client, which sends them in the background; control records wait here
    flush     first the rows, then the control records that speak of them: each step waits until the brokers have it all
    progress  the control records of earlier runs, read from their compacted topic

With `transactional` both go into one Kafka transaction, committed with whole transactions of the source only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog

from cdc.errors import Stopped, TransportError
from cdc.events import Chunk, Commit, Control, Event
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import read_all
from connectors.kafka.layout import Layout
from connectors.kafka.producing import KEYED, Headers, Producer, open_producer
from connectors.kafka.settings import Settings

log = structlog.get_logger()

UNKEYED = 0
"""The partition of records without key: always the same, so that a table without key keeps its order, and a record that is
published again after a crash comes after its first copy, where a subscriber knows it by its position."""


class Record(Protocol):
    """What the wire makes of an event (`cdc.wire.Record`)."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


Encode = Callable[[Event], Iterable[Record]]


class KafkaPublisher:
    """Implements `cdc.interfaces.Publisher`. `close` may be called by any thread: whoever waits then meets Stopped.

    `schemas` is the topic whose records must be there before what follows them; `single` the topics that have one
    partition, `compacted` those of which the last value per key is enough.
    """

    def __init__(
        self,
        settings: Settings,
        encode: Encode,
        *,
        schemas: str = "",
        single: Iterable[str] = (),
        compacted: Iterable[str] = (),
    ) -> None:
        self._settings = settings
        self._encode = encode
        self._schemas = schemas
        self._admin = Admin(settings)
        self._layout = Layout(settings, self._admin, {schemas, *single}, {schemas, *compacted})
        self._controls: dict[str, bytes] = {}
        self._rows = 0  # in the open Kafka transaction
        self._open = self._closed = False
        self.dead_letters = 0
        """Records that were too large for their topics since the start, and went to that of dead letters."""
        self._producer: Producer | None = None
        try:
            self._layout.load()
            self._layout.ensure(settings.progress_topic)
            batch = {"batch.size": min(1_000_000, self._layout.smallest())} | settings.librdkafka
            self._producer = open_producer(settings.copy(librdkafka=batch))
        except BaseException:
            self.close()
            raise

    def publish(self, event: Event) -> None:
        if isinstance(event, Control):
            self._controls[event.key] = event.value
            return
        for record in self._encode(event):
            self._send(record)
        if isinstance(event, Chunk):
            self._controls[event.control.key] = event.control.value
        elif isinstance(event, Commit) and self._rows >= self._settings.transaction_rows:
            self._commit()

    def _send(self, record: Record) -> None:
        topic, key, value = record.topic, record.key, record.value
        limit = self._layout.limits.get(topic)
        if limit is None:
            limit = self._layout.ensure(topic)
        if value is not None and len(value) + len(key or b"") > limit - 1024:
            size = len(value) + len(key or b"") + sum(len(k) + len(v or b"") for k, v in record.headers)
            if size > limit and not self._oversized(record, size, limit):
                return
        self._begin()
        self._ready.send(topic, value, key, record.headers, UNKEYED if key is None else KEYED)
        if topic == self._schemas and not self._settings.transactional:
            self._ready.flush()  # rare: once per shape of a table

    def _oversized(self, record: Record, size: int, limit: int) -> bool:
        """What the settings say of a record over its topic's limit; True: send it."""
        if self._settings.oversized == "raise":
            self._layout.raise_limit(record.topic, size)
            return True
        if self._settings.oversized == "dead_letter":
            self._bury(record, size, limit)
            return False
        raise TransportError(
            f"a record of {size:,} bytes is larger than its topic allows ({limit:,})",
            where=record.topic,
            hint='[transport] oversized = "raise" raises the topic\'s max.message.bytes, "dead_letter" puts the record aside',
        )

    def _bury(self, record: Record, size: int, limit: int) -> None:
        """To the dead letters, with key, value (unless it is too large for them, too), headers, origin and reason."""
        topic = self._settings.dead_letter_topic
        reason = f"{size} bytes are more than the {limit} that the topic allows"
        fits = size <= self._layout.ensure(topic) - 1024
        headers = [
            *record.headers,
            ("cdc.topic", record.topic.encode()),
            ("cdc.reason", reason.encode()),
            ("cdc.value", b"whole" if fits else b"left out"),
        ]
        self._begin()
        self._ready.send(topic, record.value if fits else None, record.key, headers, UNKEYED)
        self.dead_letters += 1
        log.error("a record went to the dead letters", topic=record.topic, why=reason)

    @property
    def _ready(self) -> Producer:
        assert self._producer is not None
        return self._producer

    def _begin(self) -> None:
        if self._settings.transactional:
            self._rows += 1
            if not self._open:
                self._ready.begin()
                self._open = True

    def _commit(self) -> None:
        """Commit the open Kafka transaction, if there is one."""
        if self._open:
            self._ready.commit()
            self._open = False
            self._rows = 0

    def flush(self) -> None:
        if self._closed:
            raise Stopped("the transport was closed")
        if not self._settings.transactional:
            self._ready.flush()
        if self._controls:
            for key, value in self._controls.items():
                self._begin()
                self._ready.send(self._settings.progress_topic, value, key.encode(), (), UNKEYED)
            if not self._settings.transactional:
                self._ready.flush()
        self._commit()
        self._controls = {}

    def progress(self) -> Mapping[str, bytes]:
        topic = self._settings.progress_topic
        found: dict[str, bytes] = {}
        for record in read_all(self._settings, topic):
            if record.key is not None:
                found.pop(record.key.decode(), None)
                if record.value is not None:
                    found[record.key.decode()] = record.value
        return found

    def close(self) -> None:
        self._closed = True
        if self._producer is not None:
            self._producer.close()
        self._admin.close()
