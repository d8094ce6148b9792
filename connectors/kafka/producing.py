"""Records to the brokers, by either client: in order per partition, once each, within a bound of memory.

Both raise TransportError and its kin, for a record accepted earlier as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import structlog

from cdc.errors import Stopped
from connectors.kafka import clients, diagnosis
from connectors.kafka.failures import PASSING, classify, number
from connectors.kafka.settings import Settings

log = structlog.get_logger()

Headers = Sequence[tuple[str, bytes | None]]
KEYED = -1  # the partition that the record's key has
UNKEYED = 0
"""The partition of records without key: always the same, so that a table without key keeps its order, and a record that is
published again after a crash comes after its first copy, where a subscriber knows it by its position."""
WHAT = "records cannot be written"
WAIT = 0.1
ALL_DOWN = -187


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


class Producer(Protocol):
    """Used by one thread, but for `close`."""

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int = KEYED
    ) -> None:
        """Accept a record; waits while the bound of memory is reached. Stopped if closed meanwhile."""

    def flush(self) -> None:
        """Return when all records are durable; raise if one cannot be."""

    def partitions(self, topics: Collection[str]) -> Mapping[str, int]:
        """How many partitions these topics have now, as far as keys are spread over them."""

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self) -> None:
        """Commit it, with all that was sent."""

    def close(self) -> None:
        """Forget what was not flushed, and an open transaction. Any thread may call it, twice too."""


def open_producer(settings: Settings) -> Producer:
    """By the settings' client. Raises at once what would keep it from coming in."""
    diagnosis.check(settings)
    if settings.client == "librdkafka":
        return LibrdkafkaProducer(settings)
    from connectors.kafka.producing_python import PythonProducer

    return PythonProducer(settings)


class _Reports:
    """What librdkafka reports. It knows no producer: a circle of references would keep that alive, connected, after its close."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.failure: tuple[Any, str] | None = None
        self.closed = False

    def delivered(self, error: Any, message: Any) -> None:
        if error is not None and self.failure is None:
            self.failure = (error, message.topic())

    def reported(self, error: Any) -> None:
        """librdkafka connects again by itself; what that cannot mend is raised."""
        if self.failure is None and number(error) not in PASSING:
            self.failure = (error, self.where)
        elif number(error) == ALL_DOWN and not self.closed:
            log.warning("the brokers cannot be reached; records wait", brokers=self.where)

    def check(self) -> None:
        if self.closed:
            raise Stopped("the transport was closed")
        if self.failure is not None:
            error, where = self.failure
            raise classify(error, what=WHAT, where=where)


def _gone(*_: object, **__: object) -> NoReturn:
    raise Stopped("the transport was closed")


class _Gone:
    """Stands where a closed producer was."""

    def __getattr__(self, name: str) -> Any:
        return _gone


class LibrdkafkaProducer:
    """confluent-kafka. Its queue is the bound; what it reports of failures waits for the next call."""

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka import KafkaException, Producer

        self._where = settings.bootstrap_servers
        self._sent = 0
        self._timeout = settings.delivery_timeout
        self._reports = reports = _Reports(self._where)
        config = clients.librdkafka_producer(settings)
        config |= {"on_delivery": reports.delivered, "error_cb": reports.reported}
        self._exception = KafkaException
        try:
            self._producer: Any = Producer(config)
            if settings.transactional:
                self._producer.init_transactions(settings.connect_timeout * 3)
        except KafkaException as error:
            reports.check()
            raise classify(error, what=WHAT, where=self._where) from error
        self._produce = self._producer.produce

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int = KEYED
    ) -> None:
        self._sent += 1
        if not self._sent & 1023:
            self._producer.poll(0)  # it reports only when asked
            self._reports.check()
        while True:
            try:
                if headers:
                    self._produce(topic, value, key, partition, headers=[*headers])
                else:
                    self._produce(topic, value, key, partition)
                return
            except BufferError:
                self._producer.poll(WAIT)
                self._reports.check()
            except self._exception as error:
                raise classify(error, what=WHAT, where=topic) from error

    def flush(self) -> None:
        while self._producer.flush(WAIT):
            self._reports.check()
        self._reports.check()

    def partitions(self, topics: Collection[str]) -> Mapping[str, int]:
        try:
            found = self._producer.list_topics(timeout=self._timeout).topics
        except self._exception as error:
            raise classify(error, what="the topics cannot be listed", where=self._where) from error
        return {topic: len(found[topic].partitions) for topic in topics if topic in found}

    def begin(self) -> None:
        self._transact("begin_transaction")

    def commit(self) -> None:
        self._transact("commit_transaction", self._timeout)

    def _transact(self, method: str, *arguments: float) -> None:
        try:
            getattr(self._producer, method)(*arguments)
        except self._exception as error:
            self._reports.check()
            raise classify(error, what="a Kafka transaction has failed", where=self._where) from error

    def close(self) -> None:
        """Its last reference goes with this, or with the call that another thread is in: then it disconnects."""
        if not self._reports.closed:
            self._reports.closed = True
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer, self._produce = _Gone(), _gone
