"""The topics under a prefix: which there are, what each is made with, and the largest record that each takes.

<prefix>.<schema>.<table>      `partitions` of them, kept as [transport] says
<prefix>.cdc-schemas           compacted: the last value per key is all that is needed
<prefix>.cdc-progress          compacted: control records
<prefix>.cdc-dead-letters      kept for ever: somebody has to look at them; so are a warehouse's own, of any name
<prefix>.transaction, .message, and the heartbeat's    one partition, in order
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from cdc.errors import TransportError
from connectors.kafka.admin import DEFAULT_LIMIT, Admin
from connectors.kafka.settings import Settings

log = structlog.get_logger()

RECORD_OVERHEAD = 512
"""Bytes that a batch adds to one record: its head, and what stands before key, value and headers."""
COMPACTED = {"cleanup.policy": "compact"}
FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}


class Layout:
    """The topics of one prefix, made when they are first written to. `single` names those that have one partition.

    `letters`: further topics of dead letters, whatever their prefix.
    """

    def __init__(
        self,
        settings: Settings,
        admin: Admin,
        single: Collection[str] = (),
        compacted: Collection[str] = (),
        letters: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._letters = {*letters, settings.dead_letter_topic}
        self._single = {*single, settings.progress_topic, *self._letters}
        self._compacted = {*compacted, settings.progress_topic}
        self.limits: dict[str, int] = {}
        """Topics that are there, and the bytes that a record of each may have."""
        self.partitions: dict[str, int] = {}
        """How many each of them has."""

    def load(self) -> None:
        """Find out what is there, by one look."""
        known = self._admin.topics()
        limits = self._admin.limits(list(known))
        self.partitions = dict(known)
        self.limits = {topic: limits.get(topic, DEFAULT_LIMIT) - RECORD_OVERHEAD for topic in known}

    def look(self, topic: str) -> bool:
        """Is this one there? Then it need not be made, by somebody who may not."""
        found = self._admin.topics(topic)
        if topic not in found:
            return False
        self.partitions[topic] = found[topic]
        self.limits[topic] = self._admin.limits([topic]).get(topic, DEFAULT_LIMIT) - RECORD_OVERHEAD
        return True

    def smallest(self) -> int:
        """The smallest batch that one of the topics allows; what is not there yet takes the brokers' default."""
        return min([*self.limits.values(), DEFAULT_LIMIT - RECORD_OVERHEAD])

    def ensure(self, topic: str) -> int:
        """The limit of a topic, which is made if it is not there."""
        if topic not in self.limits:
            partitions = 1 if topic in self._single else self._settings.partitions
            if self._admin.create(topic, partitions, self.configs(topic)):
                log.info("topic made", topic=topic, partitions=partitions)
            else:
                partitions = self._admin.topics(topic).get(topic, partitions)
            self.partitions[topic] = partitions
            limit = self._admin.limits([topic]).get(topic, DEFAULT_LIMIT)
            self.limits[topic] = limit - RECORD_OVERHEAD
        return self.limits[topic]

    def is_single(self, topic: str) -> bool:
        """Has it one partition by nature? Tables' topics have not."""
        return topic in self._single

    def is_compacted(self, topic: str) -> bool:
        """Does it take no record without key?"""
        return "compact" in self.configs(topic).get("cleanup.policy", "")

    def configs(self, topic: str) -> Mapping[str, str]:
        """What a topic is made with."""
        if topic in self._compacted:
            return COMPACTED
        if topic in self._letters:
            return FOR_EVER | {"max.message.bytes": str(self._settings.max_record_bytes)}
        hours = self._settings.retention_hours
        retention = -1 if hours < 0 else int(hours * 3_600_000)
        configs = {"cleanup.policy": self._settings.cleanup_policy, "retention.ms": str(retention)}
        return configs | self._settings.topic

    def raise_limit(self, topic: str, size: int) -> int:
        """Let a topic take records of this size; gives the new limit."""
        wanted = 1 << (size + RECORD_OVERHEAD).bit_length()
        wanted = min(wanted, self._settings.max_record_bytes)
        if size + RECORD_OVERHEAD > wanted:
            raise TransportError(
                f"a record of {size:,} bytes is too large",
                why=f"[transport] max_record_bytes is {wanted:,}",
                where=topic,
                hint="raise it, if consumers can take that much",
            )
        self._admin.alter(topic, {"max.message.bytes": str(wanted)})
        log.warning("the topic's limit was raised for a large record", topic=topic, max_message_bytes=wanted)
        self.limits[topic] = wanted - RECORD_OVERHEAD
        return self.limits[topic]
