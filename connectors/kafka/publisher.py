"""Kafka's publisher: events are encoded, and their records go to the topics of one prefix.

    publish   rows go to the client, which sends them in the background; control records wait here
    flush     first the rows, then the control records that speak of them: each step waits until the brokers have it all
    progress  the control records of this run and earlier ones, which were read from their compacted topic

What no partition may overtake has a fence (`fences.py`): a truncate, a copy's beginning, keys that move to other partitions.

With `transactional` both go into one Kafka transaction, committed with whole transactions of the source only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from cdc.errors import Stopped, TransportUnavailable
from cdc.events import Begin, Change, Chunk, Commit, Control, Event, Truncate
from cdc.lsn import Lsn, Position
from cdc.progress import decode_progress
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import read_all
from connectors.kafka.emptying import Emptying, Marked
from connectors.kafka.fences import KEPT, LEAVE, TAKE, Fences, changed
from connectors.kafka.layout import Layout
from connectors.kafka.oversized import Oversized
from connectors.kafka.producing import KEYED, UNKEYED, Headers, Producer, Record, open_producer
from connectors.kafka.settings import Settings

Encode = Callable[[Event], Iterable[Record]]


class KafkaPublisher:
    """Implements `cdc.interfaces.Publisher`. `close` may be called by any thread: whoever waits then meets Stopped.

    `emptied` gives the records that say that a copy begins (`cdc.wire.Encoder.emptied`); without it the records have a form
    that no applier of ours reads, and there are no fences around emptied tables. `schemas` is the topic whose records
    must be there before what follows them; `single` the topics that have one partition, `compacted` those of which the last
    value per key is enough. `sparing`: nothing goes to a new topic that the events themselves do not ask for.
    """

    def __init__(
        self,
        settings: Settings,
        encode: Encode,
        *,
        emptied: Callable[[Chunk], Iterable[Record]] | None = None,
        schemas: str = "",
        single: Iterable[str] = (),
        compacted: Iterable[str] = (),
        sparing: bool = False,
    ) -> None:
        self._settings = settings
        self._transactional = settings.transactional
        self._encode = encode
        self._emptied = emptied
        self._schemas = schemas
        self._admin = Admin(settings)
        self._layout = Layout(settings, self._admin, {schemas, *single}, {schemas, *compacted})
        self._controls: dict[str, bytes] = {}
        self._limits: dict[str, int] = {}
        """Of topics written to in this run: the bytes that a record may have."""
        self._place: Lsn = 0  # the commit LSN of what is being published
        self._rows = 0  # in the open Kafka transaction
        self._open = self._closed = self._sent = False
        self._oversized = Oversized(settings, self._layout, self.put)
        self._producer: Producer | None = None
        try:
            self._layout.load()
            self._layout.ensure(settings.progress_topic)
            self._durable = dict(self._read_progress())
            self._fences = Fences(self, self._durable, self._layout)
            self._emptying = Emptying(self._fences, self._layout, self._enter, sparing=sparing)
            batch = {"batch.size": min(1_000_000, self._layout.smallest())} | settings.librdkafka
            self._producer = open_producer(settings.copy(librdkafka=batch))
            self._hand_over = self._producer.send
            self._go_on()
        except BaseException:
            self.close()
            raise

    @property
    def dead_letters(self) -> int:
        """Records that were too large for their topics since the start, and went to that of dead letters."""
        return self._oversized.dead_letters

    def publish(self, event: Event) -> None:
        if isinstance(event, Change):
            for record in self._encode(event):
                self._send(record)
            return
        if isinstance(event, Control):
            self._controls[event.key] = event.value
            return
        if isinstance(event, Begin):
            self._place = event.commit_lsn
        records = self._encode(event)
        if isinstance(event, Truncate) and self._emptied:
            records = self._emptying.truncate(event, records)
        elif isinstance(event, Chunk):
            self._place = event.position.commit_lsn
            if event.first and self._emptied:
                begin = self._emptying.gather if event.shadow else self._emptying.copy
                records = begin(event, self._emptied(event), records)
            self._controls[event.control.key] = event.control.value
        for record in records:
            self._send(record)
        if isinstance(event, Chunk) and event.shadow and event.last:
            self._gathered(event)
        if isinstance(event, Commit) and self._rows >= self._settings.transaction_rows:
            self._commit()

    def _gathered(self, chunk: Chunk) -> None:
        """A copy beside its table is whole. That is durable first: who finds it so has the table replaced, and reads no more."""
        self.settle()
        self.remember(chunk.control.key, chunk.control.value, now=True)
        self.settle()
        self._fences.end(chunk.table.full_name, TAKE, chunk.position)

    def _go_on(self) -> None:
        """End what an earlier run has left between these two steps, or has given up."""
        for topic, gathers in self._fences.gathering().items():
            progress = decode_progress(self._durable, gathers.table)
            if topic not in self._layout.limits:
                self._fences.given_up(topic)
            elif progress.done or not progress.shadow:
                self._place = gathers.position.commit_lsn
                self._enter(Marked(topic, None, gathers.value, ()))
                kind = TAKE if progress.done and progress.shadow else LEAVE
                self._fences.end(gathers.table, kind, gathers.position)

    def _send(self, record: Record) -> None:
        topic, key, value, headers = record.topic, record.key, record.value, record.headers
        size = len(value or b"") + len(key or b"")
        if headers:
            size += sum([len(name) + len(content or b"") for name, content in headers])
        limit = self._limits.get(topic)
        if limit is None:
            limit = self._enter(record)
        if size > limit:
            found = self._oversized.handle(record, size, limit)
            if found is None:
                return
            self._limits[topic] = found
        if self._transactional:
            self._begin()
        self._hand_over(topic, value, key, headers, UNKEYED if key is None else KEYED)
        self._sent = True
        if topic == self._schemas and not self._transactional:
            self._ready.flush()  # rare: once per shape of a table

    def _enter(self, record: Record) -> int:
        """The limit of a topic, which is looked at closely the first time that it is written to in this run."""
        topic = record.topic
        if topic not in self._limits:
            self._limits[topic] = self._layout.ensure(topic)
            if not self._layout.is_single(topic):
                self._fences.enter(topic, keyed=record.key is not None, position=Position(self._place, 0))
        return self._limits[topic]

    def put(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int
    ) -> None:
        self._begin()
        self._ready.send(topic, value, key, headers, partition)

    def settle(self) -> None:
        if not self._transactional:
            self._ready.flush()

    def remember(self, key: str, value: bytes, *, now: bool) -> None:
        if now:
            self.put(self._settings.progress_topic, value, key.encode(), (), UNKEYED)
        else:
            self._controls[key] = value

    @property
    def _ready(self) -> Producer:
        assert self._producer is not None
        return self._producer

    def _begin(self) -> None:
        self._sent = True
        if self._transactional:
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
        self.settle()
        if self._sent:
            self._check_partitions()
        if self._controls:
            for key, value in self._controls.items():
                self.put(self._settings.progress_topic, value, key.encode(), (), UNKEYED)
            self.settle()
        self._commit()
        self._durable.update(self._controls)
        self._controls = {}
        self._sent = False

    def _check_partitions(self) -> None:
        """Keys have moved if partitions were added: what was not confirmed is published again, behind a fence."""
        before = {topic: self._layout.partitions[topic] for topic in self._limits}
        if added := changed(before, self._ready.partitions(before)):
            raise TransportUnavailable(
                "partitions were added to a topic",
                why="keys have moved to other partitions, so what was not confirmed is published once more",
                where=", ".join(added),
            )

    def _read_progress(self) -> Iterator[tuple[str, bytes]]:
        found: dict[str, bytes | None] = {}
        for record in read_all(self._settings, self._settings.progress_topic):
            if record.key is not None:
                found[record.key.decode()] = record.value
        return ((key, value) for key, value in found.items() if value is not None)

    def progress(self) -> Mapping[str, bytes]:
        return {key: value for key, value in self._durable.items() if not key.startswith(KEPT)}

    def close(self) -> None:
        self._closed = True
        if self._producer is not None:
            self._producer.close()
        self._admin.close()
