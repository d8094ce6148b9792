"""Records to the brokers by kafka-python; see `producing.Producer`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cdc.errors import Stopped
from connectors.kafka import clients
from connectors.kafka.failures import classify
from connectors.kafka.producing import KEYED, WHAT, Headers
from connectors.kafka.settings import Settings

CLOSING = 10.0
WAIT = 0.5


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
        self._late = kafka.errors.KafkaTimeoutError
        try:
            self._producer = kafka.KafkaProducer(**clients.kafka_python_producer(settings))
            if settings.transactional:
                self._producer.init_transactions()
        except self._error as error:
            raise classify(error, what=WHAT, where=self._where) from error

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int = KEYED
    ) -> None:
        if value is None and key is None:
            return  # the tombstone of a row without key, which says nothing: this client refuses it
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
        self._call(self._where, self._flush)
        self._check()

    def _flush(self) -> None:
        """In short waits: what a close leaves behind may never be done, and nobody is told."""
        until = time.monotonic() + self._timeout + 30
        while True:
            try:
                self._producer.flush(timeout=WAIT)
                return
            except self._late:
                self._check()
                if time.monotonic() > until:
                    raise

    def partitions(self, topics: Collection[str]) -> Mapping[str, int]:
        """What its own metadata say, by which it spreads keys."""
        found: dict[str, int] = {}

        def ask() -> None:
            found.update({topic: len(self._producer.partitions_for(topic)) for topic in topics})

        self._call(self._where, ask)
        return found

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
        except RuntimeError:  # it is closed, or being closed
            self._check()
            raise

    def _check(self) -> None:
        if self._closed:
            raise Stopped("the transport was closed")
        if self._failure is not None:
            error = classify(self._failure, what=WHAT, where=self._where)
            raise error from self._failure

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._producer.close(timeout=0)
            except (
                self._error
            ):  # records are waiting; it gave up there, and its thread would go on sending them
                sender = self._producer._sender
                sender.force_close()
                sender.join(CLOSING)
                with contextlib.suppress(*self._error):
                    self._producer.close(timeout=0)
