"""The topic of dead letters of a warehouse: one partition, so that all are in order; each durable before the applier goes on.

The topic is made when an applier starts, so what is wrong is told then; a producer is opened with the first letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from cdc.errors import Stopped
from connectors.kafka.admin import Admin
from connectors.kafka.layout import Layout
from connectors.kafka.producing import UNKEYED, Headers, Producer, open_producer
from connectors.kafka.settings import Settings


class Letter(Protocol):
    """A record, whatever topic it names."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers | None: ...


class LetterTopic:
    """Implements `cdc.registry.Letters`."""

    def __init__(self, settings: Settings, topic: str) -> None:
        # an id of transactions belongs to the reader, who would be shut out by a second one
        self._settings = settings.copy(transactional=False)
        self._topic = topic
        self._producer: Producer | None = None
        self._closed = False
        with Admin(settings) as admin:
            layout = Layout(settings, admin, letters=(topic,))
            layout.look(topic)
            self.limit = layout.ensure(topic)

    def put(self, records: Iterable[Letter]) -> None:
        producer = self._opened()
        for each in records:
            producer.send(self._topic, each.value, each.key, each.headers or (), UNKEYED)
        producer.flush()

    def _opened(self) -> Producer:
        if self._producer is None:
            self._producer = open_producer(self._settings)
        if self._closed:
            raise Stopped("the transport was closed")
        return self._producer

    def close(self) -> None:
        self._closed = True
        if self._producer is not None:
            self._producer.close()
