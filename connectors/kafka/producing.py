"""Records to the brokers, by either client: in order per partition, once each, within a bound of memory.

Both raise TransportError and its kin, for a record accepted earlier as well.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from cdc.errors import Stopped
from connectors.kafka import clients
from connectors.kafka.failures import PASSING, classify, number
from connectors.kafka.settings import Settings

log = structlog.get_logger()

Headers = Sequence[tuple[str, bytes | None]]
KEYED = -1  # the partition that the record's key has
WHAT = "records cannot be written"
WAIT = 0.1


class Producer(Protocol):
    """Used by one thread, but for `close`."""

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int = KEYED
    ) -> None:
        """Accept a record; waits while the bound of memory is reached. Stopped if closed meanwhile."""

    def flush(self) -> None:
        """Return when all records are durable; raise if one cannot be."""

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self) -> None:
        """Commit it, with all that was sent."""

    def close(self) -> None:
        """Forget what was not flushed, and an open transaction. Any thread may call it, twice too."""


def open_producer(settings: Settings) -> Producer:
    """By the settings' client."""
    kind = LibrdkafkaProducer if settings.client == "librdkafka" else PythonProducer
    return kind(settings)


class LibrdkafkaProducer:
    """confluent-kafka. Its queue is the bound; what it reports of failures waits here for the next call."""

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka import KafkaException, Producer

        self._where = settings.bootstrap_servers
        self._failure: Any = None
        self._closed = False
        self._sent = 0
        self._timeout = settings.delivery_timeout
        config = clients.librdkafka_producer(settings)
        config |= {"on_delivery": self._delivered, "error_cb": self._reported}
        self._exception = KafkaException
        try:
            self._producer = Producer(config)
            if settings.transactional:
                self._producer.init_transactions(settings.connect_timeout * 3)
        except KafkaException as error:
            self._check()
            raise classify(error, what=WHAT, where=self._where) from error
        self._produce = self._producer.produce

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int = KEYED
    ) -> None:
        self._sent += 1
        if not self._sent & 1023:
            self._producer.poll(0)  # it reports only when asked
        while True:
            if self._failure is not None:
                self._raise()
            try:
                self._produce(topic, value, key, partition, headers=[*headers] if headers else None)
                return
            except BufferError:
                if self._closed:
                    raise Stopped("the transport was closed") from None
                self._producer.poll(WAIT)
            except self._exception as error:
                raise classify(error, what=WHAT, where=topic) from error

    def flush(self) -> None:
        while self._producer.flush(WAIT):
            self._check()
        self._check()

    def begin(self) -> None:
        self._transact("begin_transaction")

    def commit(self) -> None:
        self._transact("commit_transaction", self._timeout)

    def _transact(self, method: str, *arguments: float) -> None:
        try:
            getattr(self._producer, method)(*arguments)
        except self._exception as error:
            self._check()
            raise classify(error, what="a Kafka transaction has failed", where=self._where) from error

    def _check(self) -> None:
        if self._failure is not None:
            self._raise()
        if self._closed:
            raise Stopped("the transport was closed")

    def _raise(self) -> None:
        error, where = self._failure
        raise classify(error, what=WHAT, where=where)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and self._failure is None and not self._closed:
            self._failure = (error, message.topic())

    def _reported(self, error: Any) -> None:
        """librdkafka connects again by itself; what that cannot mend is raised."""
        if self._failure is None and number(error) not in PASSING and not self._closed:
            self._failure = (error, self._where)
        elif number(error) == -187:  # all brokers are down
            log.warning("the brokers cannot be reached; records wait", brokers=self._where)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)


class PythonProducer:
    """kafka-python. It has no bound of its own, so the bytes on their way are counted here."""

    def __init__(self, settings: Settings) -> None:
        import kafka
        import kafka.errors

        self._where = settings.bootstrap_servers
        self._max_bytes = settings.max_bytes
        self._timeout = settings.delivery_timeout
        self._failure: BaseException | None = None
        self._closed = False
        self._sent = self._done = 0  # bytes; each is written by one thread only
        self._error = (kafka.errors.KafkaError, OSError)
        try:
            self._producer = kafka.KafkaProducer(**clients.kafka_python_producer(settings))
            if settings.transactional:
                self._producer.init_transactions()
        except self._error as error:
            raise classify(error, what=WHAT, where=self._where) from error

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int = KEYED
    ) -> None:
        size = len(value or b"") + len(key or b"") + 100
        while self._sent - self._done > self._max_bytes:
            self._check()
            time.sleep(0.01)
        self._check()
        self._sent += size
        where = None if partition == KEYED else partition
        self._call(topic, lambda: self._send(topic, value, key, headers, where, size))

    def _send(
        self, topic: str, value: Any, key: Any, headers: Headers, partition: int | None, size: int
    ) -> None:
        future = self._producer.send(topic, value, key, [*headers], partition)
        future.add_callback(lambda _: self._arrived(size))
        future.add_errback(self._failed)

    def _arrived(self, size: int) -> None:
        self._done += size

    def _failed(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def flush(self) -> None:
        self._call(self._where, lambda: self._producer.flush(timeout=self._timeout + 30))
        self._check()

    def begin(self) -> None:
        self._call(self._where, self._producer.begin_transaction)

    def commit(self) -> None:
        self._call(self._where, self._producer.commit_transaction)
        self._check()

    def _call(self, where: str, action: Callable[[], object]) -> None:
        try:
            action()
        except self._error as error:
            self._check()
            raise classify(error, what=WHAT, where=where) from error

    def _check(self) -> None:
        if self._closed:
            raise Stopped("the transport was closed")
        if self._failure is not None:
            error = classify(self._failure, what=WHAT, where=self._where)
            raise error from self._failure

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(*self._error):  # what is not flushed is not waited for
                self._producer.close(timeout=0)
