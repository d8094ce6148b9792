"""Administration, all of it by kafka-python: topics, their settings and limits, offsets, groups and lag.

An `Admin` connects when it is first asked something. Raises TransportError and its kin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import kafka.errors
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from connectors.kafka import clients, diagnosis
from connectors.kafka.failures import classify
from connectors.kafka.heard import ear
from connectors.kafka.settings import Settings

T = TypeVar("T")
Partition = tuple[str, int]
DEFAULT_LIMIT = 1_048_588  # Kafka's own, where this user may not ask
EARLIEST, LATEST = -2, -1
PATIENCE = 15.0
PASSING = (
    kafka.errors.CoordinatorNotAvailableError,  # the first question about a group makes Kafka's own topic of offsets
    kafka.errors.CoordinatorLoadInProgressError,
    kafka.errors.NotCoordinatorError,
    kafka.errors.LeaderNotAvailableError,
)


class Lag(NamedTuple):
    """One partition: how far a group has committed (-1: not yet), where it ends, and how many records lie between."""

    topic: str
    partition: int
    committed: int
    end: int
    records: int


class Admin:
    """One connection for administration. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._where = settings.bootstrap_servers
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection. May be called twice."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def topics(self, prefix: str | None = None) -> dict[str, int]:
        """Topics that begin with a prefix (default: ours, with a dot behind it), and how many partitions each has."""
        start = f"{self._settings.topic_prefix}." if prefix is None else prefix
        found = self._ask("the topics cannot be listed", lambda client: client.describe_topics())
        return {
            topic["name"]: len(topic["partitions"])
            for topic in found
            if topic["name"].startswith(start) and not topic["error_code"]
        }

    def brokers(self) -> int:
        """How many there are now."""
        found = self._ask("the cluster cannot be described", lambda client: client.describe_cluster())
        return len(found["brokers"])

    def version(self) -> tuple[int, ...]:
        """The brokers' version, as far as their answers tell it."""
        return tuple(self._ask("the version cannot be asked", lambda client: client._manager.broker_version))

    def may_create(self, topic: str, partitions: int, configs: Mapping[str, str]) -> bool:
        """Raise what `create` would; True if there is such a topic already. Makes nothing."""
        spec = {
            topic: {
                "num_partitions": partitions,
                "replication_factor": self._settings.replication_factor,
                "configs": dict(configs),
            }
        }
        with self._explained("the topic could not be made", topic):
            try:
                self._connected().create_topics(spec, validate_only=True)
            except kafka.errors.TopicAlreadyExistsError:
                return True
        return False

    def create(self, topic: str, partitions: int, configs: Mapping[str, str]) -> bool:
        """Make a topic and wait until it can be used; False if there was one."""
        spec = {
            topic: {
                "num_partitions": partitions,
                "replication_factor": self._settings.replication_factor,
                "configs": dict(configs),
            }
        }
        with self._explained("the topic cannot be made", topic):
            try:
                self._connected().create_topics(spec, wait_for_metadata=True)
            except kafka.errors.TopicAlreadyExistsError:
                return False
        return True

    def delete(self, topics: Collection[str]) -> None:
        """Remove topics with all that is on them."""
        if topics:
            self._ask("topics cannot be deleted", lambda client: client.delete_topics(list(topics)))

    def add_partitions(self, topic: str, total: int) -> None:
        """Let a topic have so many."""
        self._ask(
            "no partitions can be added", lambda client: client.create_partitions({topic: total}), topic
        )

    def configs(self, topics: Collection[str]) -> dict[str, dict[str, str]]:
        """All settings of each topic, with the brokers' defaults."""
        return self._describe(ConfigResourceType.TOPIC, topics, "the topics' settings cannot be read")

    def limits(self, topics: Collection[str]) -> dict[str, int]:
        """The size of the largest batch that each topic takes, in bytes."""
        found = self.configs(topics) if topics else {}
        return {name: int(configs.get("max.message.bytes", DEFAULT_LIMIT)) for name, configs in found.items()}

    def broker_configs(self) -> dict[str, str]:
        """The settings of one broker of the cluster."""
        cluster = self._ask("the cluster cannot be described", lambda client: client.describe_cluster())
        broker = str(cluster["brokers"][0].get("broker_id", cluster["brokers"][0].get("node_id")))
        return self._describe(ConfigResourceType.BROKER, [broker], "the brokers' settings cannot be read")[
            broker
        ]

    def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        """Change settings of a topic; the others stay."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(configs))
        what = "the topic's settings cannot be changed"
        answer = self._ask(what, lambda client: client.alter_configs([resource]), topic)
        for result in answer.get("topic", {}).values():
            if "Error" in str(result):
                raise classify(kafka.errors.KafkaError(str(result)), what=what, where=topic)

    def offsets(self, partitions: Collection[Partition], spec: int = LATEST) -> dict[Partition, int]:
        """Where partitions end, or begin (`EARLIEST`)."""
        wanted = {TopicPartition(*each): spec for each in partitions}
        if not wanted:
            return {}
        found = self._ask("offsets cannot be read", lambda client: client.list_partition_offsets(wanted))
        return {(each.topic, each.partition): at.offset for each, at in found.items()}

    def committed(self, group: str) -> dict[Partition, int]:
        """What a group has committed."""
        try:
            found = self._ask(
                "a group cannot be read", lambda client: client.list_group_offsets(group), group
            )
        except kafka.errors.GroupIdNotFoundError:
            return {}
        return {(each.topic, each.partition): at.offset for each, at in found.get(group, {}).items()}

    def lag(self, group: str, topics: Collection[str] | None = None) -> list[Lag]:
        """How far a group is behind, partition by partition; default: on every topic of ours."""
        known = self.topics(None if topics is None else "")
        names = known if topics is None else [name for name in topics if name in known]
        ends = self.offsets([(name, number) for name in names for number in range(known[name])])
        starts = self.offsets(list(ends), EARLIEST)
        done = self.committed(group)
        return [
            Lag(*each, done.get(each, -1), end, max(0, end - max(done.get(each, 0), starts[each])))
            for each, end in sorted(ends.items())
        ]

    def _describe(self, kind: Any, names: Collection[str], what: str) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(kind, name) for name in names]
        found = self._ask(what, lambda client: client.describe_configs(resources, config_filter="all"))
        by_name = found.get(kind.name.lower(), {})
        return {
            name: {key: each["value"] for key, each in configs.items() if each.get("value") is not None}
            for name, configs in by_name.items()
        }

    def _ask(self, what: str, question: Callable[[Any], T], where: str = "") -> T:
        """Ask, for some seconds again if the cluster is only making itself ready for the answer."""
        with self._explained(what, where):
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    return question(self._connected())
                except PASSING:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.1)

    def _connected(self) -> Any:
        if self._client is None:
            diagnosis.check(self._settings)
            self._client = KafkaAdminClient(**clients.kafka_python(self._settings))
        return self._client

    @contextmanager
    def _explained(self, what: str, where: str) -> Iterator[None]:
        begun, heard = time.monotonic(), ear()
        try:
            yield
        except (kafka.errors.KafkaError, OSError) as error:
            if isinstance(error, kafka.errors.KafkaTimeoutError | kafka.errors.KafkaConnectionError):
                where = self._where
                diagnosis.check(self._settings)
                cause = heard.since(begun) or error
            else:
                cause = error
            raise classify(cause, what=what, where=where or self._where) from error
