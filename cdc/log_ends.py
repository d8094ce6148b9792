"""The two ends of a transport that is a log, such as Kafka: events go over as records (`cdc.wire`), and the log lasts.

The reader's memory is the log's: control records of its origin and its copies are durable there, so no warehouse is asked.
An applier knows the tables from the topic of schemas, which it reads when a record names a schema that it has not seen.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from cdc import __version__, registry
from cdc.config import Config
from cdc.ends import Controls
from cdc.errors import ConfigError, Stopped, TransportUnavailable
from cdc.events import Event
from cdc.interfaces import Checkpoint, Publisher, Subscriber, Warehouse
from cdc.letter_box import LetterBox
from cdc.lsn import Lsn
from cdc.origin import ORIGIN, Origin
from cdc.registry import LogSubscriber
from cdc.source.capture import Capture
from cdc.wire import Decoder, Encoder, SchemaUnknown
from cdc.wire.decoder import AnyRecord
from cdc.wire.letters import LetterRecords
from cdc.wire.names import Topics

SCHEMA_WITHIN = 30.0  # seconds to wait for a schema, which is published before the records that name it
LOOK_AGAIN = 0.5


class LogEnds:
    """Implements `cdc.ends.Ends`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._settings = config.transport
        self._transport = registry.transport(config.transport.kind)
        self._prefix = self._transport.prefix(config.transport)
        self._topics = Topics(config.format, self._prefix)
        self._publisher: Publisher | None = None
        self._closed = False
        self.always_ahead = True
        self.patience = 0.0  # a flush is the brokers' matter; appliers have their own

    def admit(self, name: str, state: Checkpoint) -> None:
        if state.controls.get(ORIGIN):
            raise ConfigError(
                "the warehouse was filled through the embedded transport",
                where=f"[warehouses.{name}]",
                why=f'[transport] kind is "{self._settings.kind}", where nothing is known of how far that went',
                hint='go on with kind = "memory", or `cdc drop` to begin anew: the tables are then copied again',
            )

    def publisher(self, origin: Origin) -> Publisher:
        encoder = Encoder(
            self._config.format,
            prefix=self._prefix,
            database=origin.database,
            clock=time.time_ns,
            version=__version__,
            run_id=str(uuid.uuid4()),
        )
        self._publisher = self._transport.open_publisher(self._settings, encoder)
        return self._publisher

    def known(self) -> Mapping[str, Controls]:
        assert self._publisher is not None
        return {"": self._publisher.progress()}

    def applied(self) -> Lsn:
        return 0

    def copies_begin_after(self, capture: Capture) -> Lsn:
        """An earlier reader may have published all that there is by now, and not have confirmed it."""
        return capture.current_lsn() - 1

    def subscriber(self, name: str, warehouse: Warehouse) -> Subscriber:
        decoder = Decoder(self._config.format, prefix=self._prefix)
        return self._transport.open_subscriber(
            self._settings,
            Learning(decoder, self._read_schemas).decode,
            warehouse=name,
            limits=self._config.warehouses[name],
            wanted=self._topics.is_table,
            state=warehouse.state,
        )

    def letters(self, name: str) -> LetterBox | None:
        topic = self._config.warehouses[name].dead_letter_topic
        if not topic:
            return None
        records = LetterRecords(self._config.format, prefix=self._prefix, topic=topic, warehouse=name)
        open_to = self._transport.open_letters(self._settings, topic)
        return LetterBox(records, open_to, lambda: time.time_ns() // 1000)

    def _read_schemas(self) -> Iterable[AnyRecord]:
        return self._transport.records(self._settings, self._topics.schemas)

    def failed(self, error: BaseException) -> None:  # noqa: ARG002
        self.close()

    def await_applied(self, subscribers: Mapping[str, Subscriber], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        ends = self._transport.ends(self._settings, self._topics.is_table)
        reached = {name: _log(subscriber).reach(ends) for name, subscriber in subscribers.items()}
        for name, event in reached.items():
            while not event.wait(0.1):
                if self._closed:
                    raise Stopped("the transport was closed")
                if time.monotonic() > deadline:
                    raise TransportUnavailable(
                        "the applier has not come to the end of what was published",
                        where=f"[warehouses.{name}]",
                        why=f"not within {timeout:.0f} seconds",
                        hint="see `cdc lag`",
                    )

    def close(self) -> None:
        self._closed = True
        if self._publisher is not None:
            self._publisher.close()


def _log(subscriber: Subscriber) -> LogSubscriber:
    assert isinstance(subscriber, LogSubscriber)
    return subscriber


class Learning:
    """Decodes records, and reads the schemas again when one is not known yet."""

    def __init__(
        self,
        decoder: Decoder,
        read: Callable[[], Iterable[AnyRecord]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._decoder = decoder
        self._read = read
        self._clock = clock
        self._sleep = sleep

    def decode(self, record: AnyRecord) -> Sequence[Event]:
        """Raises DecodeError for a record that cannot be read, and for one whose schema does not come."""
        try:
            return self._decoder.decode(record)
        except SchemaUnknown:
            return self._after_learning(record)

    def _after_learning(self, record: AnyRecord) -> Sequence[Event]:
        deadline = self._clock() + SCHEMA_WITHIN
        while True:
            for schema in self._read():
                if schema.value is not None:
                    self._decoder.learn(schema.value)
            try:
                return self._decoder.decode(record)
            except SchemaUnknown as error:
                if self._clock() >= deadline:
                    error.why = f"it is not on {self._decoder.topics.schemas}, though it was published before the record"
                    error.hint = "was that topic deleted? `cdc drop`, then `cdc run` copies all tables again"
                    raise
            self._sleep(LOOK_AGAIN)
