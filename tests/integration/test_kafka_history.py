"""What operators do to groups and topics: reset offsets, let records go, delete a topic; and what another program sees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from cdc.errors import TransportError
from cdc.events import Change
from cdc.interfaces import Checkpoint
from cdc.testing.memory import Store
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import open_consumer
from tests.fixtures.kafka_broker import Address
from tests.fixtures.kafka_ends import Ends
from tests.integration.test_kafka_order import applier, expect, make, publish, rows, transaction

__all__ = ["make"]

Make = Callable[..., Ends]


def write(ends: Ends, *lsns: int, keys: range = range(20)) -> None:
    publisher = ends.publisher()
    publish(publisher, *[transaction(lsn, "c", keys) for lsn in lsns])
    publisher.flush()
    publisher.close()


def fill(ends: Ends, store: Store, expected: list[tuple[Any, ...]]) -> None:
    errors: list[BaseException] = []
    with applier(ends, store, errors):
        expect(store, expected, errors)


def received(ends: Ends, state: Checkpoint) -> list[Change]:
    """What a new applier of a warehouse is given."""
    subscriber = ends.subscriber(lambda: state)
    try:
        subscriber.seek(state.marks)
        found: list[Change] = []
        for _ in range(20):
            batch = subscriber.receive(0.5)
            if batch is None and found:
                break
            found += [event for event in (batch.events if batch else ()) if isinstance(event, Change)]
        return found
    finally:
        subscriber.close()


def test_a_group_whose_offsets_are_reset_is_given_nothing_again(make: Make) -> None:
    ends, store = make(), Store()
    write(ends, 10, 20)
    fill(ends, store, rows(range(20), 20))
    group = open_consumer(ends.settings, ends.settings.group_of("w"))
    group.assign(dict.fromkeys([(ends.topic("public.keyed"), n) for n in range(3)], 0))
    group.commit(dict.fromkeys([(ends.topic("public.keyed"), n) for n in range(3)], 0))
    group.fetch(1, 1.0)
    group.close()
    write(ends, 30, keys=range(5))
    assert {change.begin.commit_lsn for change in received(ends, store.checkpoint)} == {30}
    fill(ends, store, sorted([*rows(range(5), 30), *rows(range(5, 20), 20)], key=repr))


def test_records_that_are_gone_are_missed_by_whoever_has_not_seen_them(make: Make) -> None:
    ends, store = make(partitions=1), Store()
    write(ends, 10)
    early = Store()
    fill(ends, early, rows(range(20), 10))
    write(ends, 20)
    fill(ends, store, rows(range(20), 20))
    client: Any = KafkaAdminClient(bootstrap_servers=ends.settings.bootstrap_servers)
    client.delete_records({TopicPartition(ends.topic("public.keyed"), 0): 30})
    client.close()
    write(ends, 30, keys=range(3))
    assert len(received(ends, store.checkpoint)) == 3
    for behind in (Checkpoint(), early.checkpoint):
        accepting = Ends(ends.settings.copy(missing_history="accept", group="accepting"))
        strict = Ends(ends.settings.copy(group="strict"))
        with pytest.raises(
            TransportError, match=r"not on the topic any more: it begins at offset 30.*resync"
        ):
            received(strict, behind)
        assert len(received(accepting, behind)) == 10 + 3


def test_a_topic_that_is_made_anew_is_not_taken_for_the_old_one(make: Make) -> None:
    ends, store = make(partitions=1), Store()
    write(ends, 10, 20)
    fill(ends, store, rows(range(20), 20))
    with Admin(ends.settings) as admin:
        admin.delete([ends.topic("public.keyed")])
    write(ends, 30, keys=range(3))
    with pytest.raises(
        TransportError, match=r"ends before what the warehouse has applied: it ends at offset 3"
    ):
        received(ends, store.checkpoint)


def test_kcat_reads_our_topics(kafka: Address, make: Make) -> None:
    program = shutil.which("kcat")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no kcat: see tests/setup-debian.sh")
    ends = make(partitions=1)
    write(ends, 10, keys=range(3))
    options = ["-C", "-q", "-e", "-b", kafka.plain, "-t", ends.topic("public.keyed"), "-o", "beginning"]
    done = subprocess.run(
        [program, *options, "-K", "\t"], capture_output=True, text=True, check=True, timeout=60
    )
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert [json.loads(key) for key, _ in found] == [{"id": n} for n in range(3)]
    values = [json.loads(value) for _, value in found]
    assert [value["after"] for value in values] == [{"id": n, "note": "note", "body": "10"} for n in range(3)]
    assert {value["op"] for value in values} == {"c"}
