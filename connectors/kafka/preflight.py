"""The part of `cdc check` that is about Kafka: can it be reached, may we do what we must, will it keep what we need."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from cdc.check import Check
from cdc.errors import TransportError
from connectors.kafka.admin import Admin
from connectors.kafka.layout import COMPACTED, Layout
from connectors.kafka.settings import Settings

OLDEST = (2, 4)  # brokers that know what a topic has when nothing is said
SHORT_HOURS = 24.0
PROBE = "cdc-check"


def check_kafka(settings: Settings, letters: Collection[str] = ()) -> Iterator[Check]:
    """In the order in which things fail; what needs an answer that did not come is left out."""
    with Admin(settings) as admin:
        try:
            brokers, version = admin.brokers(), admin.version()
            topics = admin.topics()
        except TransportError as error:
            yield _failed("brokers", error)
            return
        count = f"{brokers} broker{'s' if brokers > 1 else ''}"
        yield Check("brokers", "ok", f"{settings.bootstrap_servers}: {count}, {len(topics)} topics of ours")
        yield _version(version)
        try:
            known = admin.broker_configs()
        except TransportError as error:
            yield _failed("broker settings", error, "warn")
            known = {}
        yield from _replicas(settings, brokers, known)
        yield from _creation(settings, admin)
        for topic in letters:
            yield _letters(settings, admin, topic)
        yield from _sizes(settings, admin, topics, known)


def _failed(name: str, error: TransportError, state: str = "fail") -> Check:
    detail = f"{error.what}: {error.why}" if error.why else error.what
    return Check(name, "warn" if state == "warn" else "fail", detail, error.hint)


def _version(version: tuple[int, ...]) -> Check:
    said = ".".join(map(str, version))
    if version < OLDEST:
        return Check("version", "fail", f"{said} is too old", "upgrade to 2.4 or later")
    return Check("version", "ok", f"{said} or later")


def _replicas(settings: Settings, brokers: int, known: Mapping[str, str]) -> Iterator[Check]:
    wanted = settings.replication_factor
    factor = int(known.get("default.replication.factor", 1)) if wanted < 0 else wanted
    if factor > brokers:
        fix = f"set [transport] replication_factor = {brokers}, or start more brokers"
        yield Check(
            "replication", "fail", f"{factor} replicas are wanted, and there are {brokers} brokers", fix
        )
        return
    least = int(settings.topic.get("min.insync.replicas", known.get("min.insync.replicas", 1)))
    if least > factor:
        detail = f"min.insync.replicas is {least}, and a topic has {factor}: nothing could be written"
        yield Check("replication", "fail", detail, f"set [transport] replication_factor = {least} or more")
    elif factor == 1 and brokers > 1:
        detail = "one replica: a broker that is lost takes its records with it"
        yield Check("replication", "warn", detail, f"set [transport] replication_factor = {min(brokers, 3)}")
    else:
        yield Check("replication", "ok", f"{factor} of {brokers}, of which {least} must have a record")


def _creation(settings: Settings, admin: Admin) -> Iterator[Check]:
    """A table's topic and one of ours, as they would be made."""
    layout = Layout(settings, admin)
    for name, topic in (
        ("topics", f"{settings.topic_prefix}.{PROBE}"),
        ("progress", settings.progress_topic),
    ):
        try:
            there = admin.may_create(topic, settings.partitions, layout.configs(topic))
        except TransportError as error:
            yield _failed(name, error)
            continue
        if name == "progress" and there:
            yield _progress(admin, topic)
        else:
            yield Check(name, "ok", f"{topic.replace(PROBE, '*')} can be made")


def _progress(admin: Admin, topic: str) -> Check:
    """Without compaction, what a reader must remember is deleted by and by."""
    policy = admin.configs([topic]).get(topic, {}).get("cleanup.policy", "")
    if policy == COMPACTED["cleanup.policy"]:
        return Check("progress", "ok", f"{topic} is there and compacted")
    fix = f"kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=compact"
    return Check("progress", "fail", f"{topic} has cleanup.policy = {policy}: it would be forgotten", fix)


def _letters(settings: Settings, admin: Admin, topic: str) -> Check:
    """Where two tables have rows of one key, compaction would keep the letter of one alone."""
    layout = Layout(settings, admin, letters=(topic,))
    try:
        if not layout.look(topic):
            admin.may_create(topic, 1, layout.configs(topic))
            return Check("dead letters", "ok", f"{topic} can be made")
        policy = admin.configs([topic]).get(topic, {}).get("cleanup.policy", "")
    except TransportError as error:
        return _failed("dead letters", error)
    if "compact" in policy:
        fix = f"kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=delete"
        detail = f"{topic} has cleanup.policy = {policy}: some letters would be lost, others refused"
        return Check("dead letters", "fail", detail, fix)
    return Check("dead letters", "ok", f"{topic} is there")


def _sizes(
    settings: Settings, admin: Admin, topics: Mapping[str, int], known: Mapping[str, str]
) -> Iterator[Check]:
    """The largest record, and how long records are kept."""
    tables = [topic for topic in topics if ".cdc-" not in topic]
    try:
        configs = admin.configs(tables) if tables else {}
    except TransportError as error:
        yield _failed("topic settings", error, "warn")
        return
    limits = [int(each["max.message.bytes"]) for each in configs.values() if "max.message.bytes" in each]
    limit = min(
        [*limits, int(settings.topic.get("max.message.bytes", known.get("message.max.bytes", 1_048_588)))]
    )
    then = {"fail": "stops the line", "raise": "has its topic's limit raised", "dead_letter": "is put aside"}
    yield Check("record size", "ok", f"a record over {limit:,} bytes {then[settings.oversized]}")
    kept = {
        topic: int(each["retention.ms"]) / 3_600_000
        for topic, each in configs.items()
        if "delete" in each.get("cleanup.policy", "delete") and int(each.get("retention.ms", -1)) >= 0
    }
    if "delete" in settings.cleanup_policy and settings.retention_hours >= 0:
        kept["[transport] retention_hours"] = settings.retention_hours
    short = sorted(kept, key=lambda each: kept[each])[:1]
    if short and kept[short[0]] < SHORT_HOURS:
        detail = (
            f"{short[0]}: {kept[short[0]]:g} hours: a warehouse that is away for longer has to be filled anew"
        )
        fix = "set [transport] retention_hours, and retention.ms of topics that are there, to some days"
        yield Check("retention", "warn", detail, fix)
    else:
        yield Check("retention", "ok", f"{kept[short[0]]:g} hours" if short else "for ever")
