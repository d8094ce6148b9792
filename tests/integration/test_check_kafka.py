"""`cdc check` of Kafka, and `cdc drop`: what is found wrong is told with its fix, and nothing is changed by looking."""

from __future__ import annotations

import gc

import pytest

from cdc.check import Check
from connectors import kafka as connector
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from tests.fixtures.kafka_broker import Address


def settings_of(kafka: Address, prefix: str, **given: object) -> Settings:
    return Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix).copy(**given)


def bad(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in connector.check(settings) if check.state != "ok"}


def test_nothing_to_complain_about(kafka: Address, prefix: str) -> None:
    settings = settings_of(kafka, prefix)
    assert bad(settings) == {}
    names = [check.name for check in connector.check(settings)]
    assert names == [
        "brokers",
        "version",
        "replication",
        "topics",
        "progress",
        "record size",
        "retention",
    ]
    with Admin(settings) as admin:
        assert admin.topics() == {}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_broker(prefix: str) -> None:
    (check,) = connector.check(
        Settings(bootstrap_servers="127.0.0.1:1", topic_prefix=prefix, connect_timeout=1)
    )
    assert (check.name, check.state) == ("brokers", "fail")
    assert "refused" in check.detail.lower()
    assert "bootstrap_servers" in check.fix
    gc.collect()  # kafka-python leaves the sockets of refused connections to the collector, which warns of them


def test_a_wrong_password(secure_kafka: Address, prefix: str) -> None:
    settings = Settings(
        bootstrap_servers=secure_kafka.sasl,
        topic_prefix=prefix,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        username="alice",
        password="wrong",
        ssl_ca=secure_kafka.file("ca.pem"),
    )
    (check,) = connector.check(settings)
    assert (check.name, check.state) == ("brokers", "fail")
    assert "password" in check.fix


@pytest.mark.parametrize(
    ("given", "name", "state", "words"),
    [
        ({"replication_factor": 9}, "replication", "fail", "replication_factor = 1"),
        ({"topic": {"min.insync.replicas": "2"}}, "replication", "fail", "replication_factor = 2"),
        ({"topic": {"no.such.thing": "2"}}, "topics", "fail", ""),
        ({"retention_hours": 1.0}, "retention", "warn", "retention_hours"),
    ],
)
def test_what_cannot_work(
    kafka: Address, prefix: str, given: dict[str, object], name: str, state: str, words: str
) -> None:
    found = bad(settings_of(kafka, prefix, **given))[name]
    assert found.state == state
    assert words in found.fix


def test_a_progress_topic_that_forgets(kafka: Address, prefix: str) -> None:
    settings = settings_of(kafka, prefix)
    with Admin(settings) as admin:
        admin.create(settings.progress_topic, 1, {"cleanup.policy": "delete"})
        found = bad(settings)["progress"]
        assert found.state == "fail"
        assert "cleanup.policy=compact" in found.fix
        admin.alter(settings.progress_topic, {"cleanup.policy": "compact"})
    assert bad(settings) == {}


def test_dead_letters_that_would_be_compacted(kafka: Address, prefix: str) -> None:
    settings, topic = settings_of(kafka, prefix), f"{prefix}-dlq"
    assert Check("dead letters", "ok", f"{topic} can be made") in connector.check(settings, [topic])
    with Admin(settings) as admin:
        admin.create(topic, 1, {"cleanup.policy": "compact"})
        [found] = [each for each in connector.check(settings, [topic]) if each.name == "dead letters"]
        assert (found.state, "cleanup.policy=delete" in found.fix) == ("fail", True)
        admin.alter(topic, {"cleanup.policy": "delete"})
    assert Check("dead letters", "ok", f"{topic} is there") in connector.check(settings, [topic])
