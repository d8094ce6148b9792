"""Records over their topic's limit: stop, raise the limit, or put the record aside; nothing is cut."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from cdc.errors import TransportError
from connectors.kafka.layout import Layout
from connectors.kafka.producing import UNKEYED, Headers, Record
from connectors.kafka.settings import Settings

log = structlog.get_logger()

Put = Callable[[str, bytes | None, bytes | None, Headers, int], None]


class Oversized:
    """`put` sends to the dead letters; `dead_letters` counts them since the start."""

    def __init__(self, settings: Settings, layout: Layout, put: Put) -> None:
        self._settings = settings
        self._layout = layout
        self._put = put
        self.dead_letters = 0

    def handle(self, record: Record, size: int, limit: int) -> int | None:
        """The topic's new limit, if the record can be sent now; None if it was put aside. Raises TransportError."""
        if self._settings.oversized == "raise":
            return self._layout.raise_limit(record.topic, size)
        if self._settings.oversized == "dead_letter":
            self._bury(record, size, limit)
            return None
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
        self._put(topic, record.value if fits else None, record.key, headers, UNKEYED)
        self.dead_letters += 1
        log.error("a record went to the dead letters", topic=record.topic, why=reason)
