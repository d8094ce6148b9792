"""Brokers that are away, and publishers that are killed: nothing is lost, nothing grows, and it goes on by itself."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import read_all
from tests.fixtures.kafka_broker import Address, Broker
from tests.fixtures.kafka_load import Load
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database

MEGABYTE = 1 << 20
MAX_BYTES = 8 * MEGABYTE
ROWS, WIDTH = 10, 1000
LAST = 10_000  # transactions: 100 MB, many times the bound, as is what lies between two flushes
CLIENTS = {"librdkafka": 40 * MEGABYTE, "kafka-python": 60 * MEGABYTE}
"""What a client may take above its start: the bound, what librdkafka or Python needs around it, and buffers on the way."""


def stands_still(load: Load) -> bool:
    """Has it published nothing for a second?"""
    before = load.said["published"]
    time.sleep(1.0)
    assert not load.failed, load.failed
    return load.said["published"] == before


@pytest.mark.parametrize("client", CLIENTS)
def test_while_a_broker_is_away_records_wait_within_the_bound(
    own_kafka: Broker, prefix: str, client: str
) -> None:
    own_kafka.start()
    given = {"bootstrap_servers": own_kafka.address.plain, "topic_prefix": prefix, "client": client}
    with Load({**given, "max_bytes": MAX_BYTES, "partitions": 2}, 1, LAST, rows=ROWS, width=WIDTH) as load:
        eventually(lambda: load.said["published"] > 100, load.failed)
        before = load.rss
        with own_kafka.standing_still():
            eventually(lambda: stands_still(load), "back-pressure")
            grown = [load.rss - before]
            held = load.said["published"]
        eventually(lambda: load.said["published"] > held + 100 or load.failed, "it goes on by itself")
        own_kafka.kill()
        eventually(lambda: stands_still(load), "back-pressure")
        grown.append(load.rss - before)
        assert load.said["published"] < LAST
        own_kafka.start()
        eventually(lambda: load.said["durable"] == LAST or load.failed, "it goes on by itself")
        assert not load.failed
        grown.append(load.rss - before)
    assert max(grown) < CLIENTS[client], [each / MEGABYTE for each in grown]
    topic = f"{prefix}.public.keyed"
    with Admin(Settings(**given)) as admin:
        assert sum(admin.offsets([(topic, 0), (topic, 1)]).values()) == LAST * ROWS  # each once


class Envelope(msgspec.Struct):
    source: dict[str, int | str | None]


def test_who_reads_what_is_committed_never_sees_a_part_of_a_transaction(kafka: Address, prefix: str) -> None:
    given = {"bootstrap_servers": kafka.plain, "topic_prefix": prefix, "partitions": 3}
    settings = Settings(**given)  # type: ignore[arg-type]
    transactional = {**given, "transactional": True, "transaction_rows": 50}
    first = 1
    for part in range(3):
        with Load(transactional, first, 1_000_000, rows=7, width=100) as load:
            target = first + 700 + 37 * part
            eventually(lambda load=load, target=target: load.said["published"] >= target or load.failed)
            assert not load.failed
            load.kill()
            first = max(first, load.said["durable"] + 1)
        seen = Counter(
            msgspec.json.decode(record.value, type=Envelope).source["commit_lsn"]
            for record in read_all(settings, f"{prefix}.public.keyed")
            if record.value is not None
        )
        assert len(seen) > 500
        assert {count % 7 for count in seen.values()} == {0}
    with Load(transactional, first, first + 10, rows=7, width=100) as load:
        eventually(lambda: load.said["durable"] == first + 10 or load.failed)
        assert not load.failed


def test_postgresql_hears_of_us_while_the_broker_is_away(
    own_kafka: Broker, prefix: str, database: Database, tmp_path: Path
) -> None:
    own_kafka.start()
    database.execute("create table t (id int primary key, body text)")
    database.execute(f"alter database {database.name} set wal_sender_timeout = '2s'")
    transport = {"kind": "kafka", "bootstrap_servers": own_kafka.address.plain, "topic_prefix": prefix}
    replica = Replica(
        database, tmp_path, transport={**transport, "max_bytes": MEGABYTE, "discover_interval": 1.0}
    )
    ours = f"pid in (select active_pid from pg_replication_slots where database = '{database.name}')"
    walsender = f"select pid from pg_stat_replication where {ours}"

    with replica.running() as running:
        running.wait_live()
        (before,) = database.query(walsender)
        own_kafka.kill()
        database.execute("insert into t select n, repeat('x', 500) from generate_series(1, 20000) n")
        (since,) = database.query("select clock_timestamp()")
        later = f"select reply_time > timestamptz '{since[0]}' + interval '5 s' from pg_stat_replication"
        eventually(
            lambda: database.query(f"{later} where {ours}") == [(True,)],
            "that time-out has gone by twice",
        )
        assert database.query(walsender) == [before]
        own_kafka.start()
        running.wait_live()
    replica.assert_equal()
