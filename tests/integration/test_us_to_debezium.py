"""Our reader writes, Debezium's JDBC sink reads: PostgreSQL behind it is equal to the source."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import read_all
from tests.fixtures.connect_worker import SINK, Worker
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database, fresh_database

TYPES = """
    create table types (
        id bigint primary key, s smallint, i integer, t text, v varchar(20), b boolean, f real, g double precision,
        n numeric(10, 2), d date, ts timestamp(3), ts6 timestamp, tz timestamptz, u uuid, j jsonb, y bytea);
    create table pairs (a integer, b text, v text, primary key (b, a));
    insert into types select k, k, -k, 'text ' || k, 'é😀 ' || k, k % 2 = 0, k / 8.0, k / 3.0, k / 7.0, date '2024-01-01' + k,
        timestamp '2024-02-29 01:02:03.456', timestamp '1969-12-31 23:59:59.999999',
        timestamptz '2024-02-29 01:02:03.456789+02', md5(k::text)::uuid, jsonb_build_object('k', k), decode(md5(k::text), 'hex')
        from generate_series(1, 200) k;
    insert into types (id) values (1000);
    insert into pairs select k, 'k' || k % 5, 'v' from generate_series(1, 40) k;
"""
CHANGES = """
    update types set t = 'changed', n = null, i = i + 1 where id % 3 = 0;
    delete from types where id % 10 = 1;
    update types set id = id + 2000 where id % 10 = 2;
    insert into types (id, t) values (7000, 'new');
    update pairs set b = 'moved', v = 'w' where a % 7 = 0;
    delete from pairs where a % 9 = 0;
"""


COLUMNS = {"types": "id, s, i, t, v, b, f, g, d, n, ts, ts6, tz, u, j, y", "pairs": "a, b, v"}


@pytest.fixture
def reader(database: Database, tmp_path: Path, kafka: Address) -> Replica:
    """A line over Kafka whose warehouse is elsewhere: records as Debezium's, with their schemas."""
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": database.name}
    replica = Replica(database, tmp_path, transport=transport)
    replica.settings["format"] = {"compat": "debezium", "schemas_enable": True}
    return replica


def test_the_jdbc_sink_fills_postgresql(reader: Replica, debezium_sink: Worker, kafka: Address) -> None:
    source = reader.database
    source.execute(TYPES)
    with fresh_database(source.server) as target, reader.process("read"):
        topics = [f"{source.name}.public.{table}" for table in ("types", "pairs")]
        eventually(lambda: set(topics) <= set(_topics(kafka, source.name)), "the topics are there")
        debezium_sink.add(target.name, _sink(target, topics))
        try:
            eventually(lambda: _is_equal(debezium_sink, source, target), "the copy is equal")
            source.execute(CHANGES)
            eventually(lambda: _is_equal(debezium_sink, source, target), "the changes are equal")
        finally:
            debezium_sink.remove(target.name)


def _topics(kafka: Address, prefix: str) -> list[str]:
    with Admin(Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix)) as admin:
        return list(admin.topics())


def _sink(target: Database, topics: list[str]) -> dict[str, str]:
    place = conninfo_to_dict(target.dsn)
    converters = {}
    for side in ("key", "value"):
        converters[f"{side}.converter"] = "org.apache.kafka.connect.json.JsonConverter"
        converters[f"{side}.converter.schemas.enable"] = "true"
    return {
        "connector.class": SINK,
        "topics": ",".join(topics),
        "connection.url": f"jdbc:postgresql://{place['host']}:{place['port']}/{target.name}",
        "connection.username": str(place["user"]),
        "connection.password": str(place["password"]),
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "basic",
        "header.converter": "org.apache.kafka.connect.storage.StringConverter",  # else it trips over keys in headers
        "collection.name.format": "${source.table}",
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.metadata.max.age.ms": "1000",
        **converters,
    }


def _is_equal(worker: Worker, source: Database, target: Database) -> bool:
    found = [name for name in worker.connectors() if name == target.name]
    worker.check(*found)
    there = {name for (name,) in target.query("select relname::text from pg_class where relkind = 'r'")}
    return {"types", "pairs"} <= there and all(
        _rows(source, table) == _rows(target, table) for table in ("types", "pairs")
    )


def _rows(database: Database, table: str) -> Counter[Any]:
    """Rows as JSON in the order of the source's columns; numbers and times by their value, since the sink's types are wider."""
    columns = COLUMNS[table]
    query = f"select json_build_array({columns})::text from {table}"
    return Counter(map(_plain, (json.loads(row) for (row,) in database.query(query))))


def _plain(row: list[Any]) -> str:
    return json.dumps(row, sort_keys=True)


def test_a_plain_consumer_reads_them(reader: Replica, kafka: Address) -> None:
    """As kafka-console-consumer would: the records are JSON that says what the row is."""
    source = reader.database
    source.execute(TYPES)
    topic = f"{source.name}.public.pairs"
    settings = Settings(bootstrap_servers=kafka.plain, topic_prefix=source.name)

    def payloads() -> list[dict[str, Any]]:
        return [json.loads(record.value)["payload"] for record in read_all(settings, topic) if record.value]

    with reader.process("read"):
        eventually(lambda: len(payloads()) == 40, "40 rows are on the topic")
    assert {payload["op"] for payload in payloads()} == {"r"}
    assert {"a": 1, "b": "k1", "v": "v"} in [payload["after"] for payload in payloads()]
