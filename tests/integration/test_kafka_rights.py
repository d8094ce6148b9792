"""What a user of Kafka may not do is told by both clients: what it is, where, and which right is wanting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from cdc.errors import TransportError, TransportUnavailable
from cdc.interfaces import Checkpoint
from cdc.wire import Record
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.letters import LetterTopic
from tests.fixtures.kafka_broker import PASSWORD, Address
from tests.fixtures.kafka_ends import Ends
from tests.integration.test_kafka_order import publish, transaction

Forbid = Callable[..., Any]


@pytest.fixture(params=["librdkafka", "kafka-python"])
def ends(request: pytest.FixtureRequest, secure_kafka: Address, prefix: str) -> Ends:
    """Those of mallory."""
    return Ends(
        Settings(
            bootstrap_servers=secure_kafka.sasl,
            topic_prefix=prefix,
            client=request.param,
            security_protocol="SASL_SSL",
            ssl_ca=secure_kafka.file("ca.pem"),
            username="mallory",
            password=PASSWORD,
            delivery_timeout=20.0,
        )
    )


@pytest.fixture
def filled(ends: Ends) -> Ends:
    """With a row on its topic."""
    publisher = ends.publisher()
    publish(publisher, transaction(10, "c", range(1)))
    publisher.flush()
    publisher.close()
    return ends


@pytest.fixture
def forbid(secure_kafka: Address, prefix: str) -> Iterator[Forbid]:
    """Forbids mallory something, until the test is over."""
    client: Any = KafkaAdminClient(bootstrap_servers=secure_kafka.plain)
    made: list[Any] = []

    def acl(who: str, verdict: Any, operation: Any, kind: Any, name: str, pattern: Any) -> None:
        made.append(ACL(f"User:{who}", "*", operation, verdict, ResourcePattern(kind, name, pattern)))
        client.create_acls([made[-1]])

    def deny(operation: Any, kind: Any, name: str = prefix) -> None:
        place = (kind, name, ACLResourcePatternType.PREFIXED)
        acl("mallory", ACLPermissionType.DENY, operation, *place)
        if operation is not ACLOperation.DESCRIBE:
            acl("*", ACLPermissionType.ALLOW, ACLOperation.DESCRIBE, *place)

    def create() -> None:
        deny(ACLOperation.CREATE, ResourceType.TOPIC)
        literal = ACLResourcePatternType.LITERAL
        cluster = (ResourceType.CLUSTER, "kafka-cluster", literal)
        acl("*", ACLPermissionType.ALLOW, ACLOperation.ALL, *cluster)
        acl("mallory", ACLPermissionType.DENY, ACLOperation.CREATE, *cluster)

    deny.create = create  # type: ignore[attr-defined]
    yield deny
    client.delete_acls(
        [
            ACLFilter(each.principal, each.host, each.operation, each.permission_type, each.resource_pattern)
            for each in made
        ]
    )
    client.close()


@contextmanager
def told(match: str) -> Iterator[None]:
    with pytest.raises(TransportError, match=match) as raised:
        yield
    assert not isinstance(raised.value, TransportUnavailable)


def receive(ends: Ends) -> None:
    subscriber = ends.subscriber(Checkpoint)
    try:
        subscriber.seek({})
        for _ in range(40):
            subscriber.receive(0.5)
    finally:
        subscriber.close()


def test_to_make_a_topic(ends: Ends, forbid: Forbid) -> None:
    forbid.create()
    with told(r"cdc-progress: the topic cannot be made: this user may not .* \(grant .*Create"):
        ends.publisher()


def test_to_write_to_a_topic(filled: Ends, forbid: Forbid) -> None:
    forbid(ACLOperation.WRITE, ResourceType.TOPIC, filled.topic("public."))
    publisher = filled.publisher()
    with told(r"(?=.*public.keyed).*records cannot be written: this user may not use the topic.*Write"):
        publish(publisher, transaction(20, "c", range(1)))
        publisher.flush()
    publisher.close()


def test_to_make_or_write_the_topic_of_dead_letters(ends: Ends, forbid: Forbid, prefix: str) -> None:
    letters = LetterTopic(ends.settings, f"{prefix}.cdc-dead-letters")
    forbid(ACLOperation.WRITE, ResourceType.TOPIC, prefix)
    with told(r"(?=.*cdc-dead-letters).*records cannot be written: this user may not use the topic.*Write"):
        letters.put([Record("", b"k", b"v")])
    letters.close()
    forbid.create()
    with told(r"other.cdc-dead-letters: the topic cannot be made: this user may not .* \(grant .*Create"):
        LetterTopic(ends.settings, f"{prefix}.other.cdc-dead-letters")
    LetterTopic(ends.settings, f"{prefix}.cdc-dead-letters").close()  # which somebody has made


def test_to_read_a_topic(filled: Ends, forbid: Forbid) -> None:
    forbid(ACLOperation.READ, ResourceType.TOPIC, filled.topic("public."))
    with told(r"records cannot be read: this user may not use the topic.*Read"):
        receive(filled)


def test_to_be_of_the_group(filled: Ends, forbid: Forbid) -> None:
    forbid(ACLOperation.READ, ResourceType.GROUP)
    with told(r"records cannot be read: this user may not use the consumer group.*Read on groups"):
        receive(filled)


def test_to_ask_for_a_group(filled: Ends, forbid: Forbid) -> None:
    forbid(ACLOperation.DESCRIBE, ResourceType.GROUP)
    forbid(ACLOperation.READ, ResourceType.GROUP)
    with Admin(filled.settings) as admin, told("this user may not use the consumer group"):
        admin.committed(filled.settings.group_of("w"))
