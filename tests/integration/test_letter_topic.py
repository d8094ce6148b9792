"""Rows that a target refuses, told on a topic: read there by another client, after a copy anew, and after a kill."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import duckdb
import pytest

from cdc.errors import Stopped
from cdc.wire import Record
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import Received, read_all
from connectors.kafka.letters import LetterTopic
from tests.fixtures.cli import Cli
from tests.fixtures.kafka_broker import Address, Broker
from tests.fixtures.line import Replica, eventually, keep_errors
from tests.fixtures.postgres import Database
from tests.integration.test_line_kafka import listening, said
from tests.integration.test_line_kafka import over_kafka as over_kafka
from tests.integration.test_resync import resync

SETUP = "create table t (id int primary key, v numeric(5, 2)); insert into t select n, n from generate_series(1, 30) n"
Letters = list[tuple[bytes | None, dict[str, Any]]]

pytestmark = pytest.mark.timeout(300)


def topic_of(replica: Replica) -> str:
    return f"{replica.settings['transport']['topic_prefix']}.local.cdc-dead-letters"


def read(replica: Replica, topic: str) -> list[Received]:
    """All that is on a topic, by kafka-python."""
    transport = replica.config.transport
    assert isinstance(transport, Settings)
    return list(read_all(transport.copy(client="kafka-python"), topic))


def letters(replica: Replica) -> Letters:
    return [(each.key, json.loads(each.value or b"")) for each in read(replica, topic_of(replica))]


def test_letters_and_what_ends_them_are_on_the_topic(over_kafka: Replica) -> None:
    database, settings = over_kafka.database, over_kafka.settings
    database.execute(SETUP)
    settings["transport"]["transactional"] = (
        True  # of which a letter is no part: it would shut out the reader
    )
    settings["warehouses.local"] |= {"refused": "park_row", "dead_letter_topic": topic_of(over_kafka)}

    def count() -> int:
        return running.daemon.status().warehouses[0].dead_letters

    with over_kafka.running() as running:
        running.wait_live()
        database.execute("insert into t select n, 'NaN' from generate_series(31, 40) n")
        eventually(lambda: running.errors or count() == 10)
        told = letters(over_kafka)
        assert running.daemon.status().warehouses[0].dead_letters_in == f"topic {topic_of(over_kafka)}"
        database.execute("update t set v = 1 where id between 31 and 39")
        resync(running, "public.t")
        eventually(lambda: running.errors or count() == 1)
    over_kafka.catch_up()

    prefix = settings["transport"]["topic_prefix"]
    own = {record.key: record for record in read(over_kafka, f"{prefix}.public.t") if record.key}
    assert {key for key, _ in told} == {b'{"id":%d}' % n for n in range(31, 41)} <= own.keys()
    for key, value in told:
        assert json.loads(value["key"]) == {"id": str(json.loads(key or b"")["id"])}
        assert (value["column"], value["row"]) == ("v", None)
        assert "cannot be kept as DECIMAL(5,2)" in value["reason"]
    assert len({value["position"] for _, value in told}) == 10
    assert len({value["commit_lsn"] for _, value in told}) == 1
    [end, again] = letters(over_kafka)[10:]
    assert (end[0], end[1]["kind"], end[1]["table"]) == (None, "mended", "public.t")
    assert (again[0], again[1]["key"]) == (b'{"id":40}', '{"id": "40"}')
    with duckdb.connect(str(over_kafka.target), read_only=True) as connection:
        assert connection.execute(
            "select count(*) from duckdb_tables() where table_name like '\\_cdc\\_dead%' escape '\\'"
        ).fetchone() == (0,)
    [(lacking, extra)] = over_kafka.differences().values()
    assert list(lacking) == [("40", "NaN")]
    assert not extra


def test_killed_between_the_letter_and_the_checkpoint_it_is_told_twice_and_counted_once(
    over_kafka: Replica, target: Database
) -> None:
    over_kafka.into_postgres(target.dsn, refused="park_row", dead_letter_topic=topic_of(over_kafka))
    over_kafka.settings["warehouses.local.columns"] = {'"public.t.v"': "numeric(5, 2)"}
    database, cli, process = over_kafka.database, Cli(over_kafka.folder), listening(over_kafka)
    database.execute("create table t (id int primary key, v text); insert into t values (1, '1')")

    def count() -> int | None:
        status = said(over_kafka, process)
        return status.warehouses[0].dead_letters if status and status.warehouses else None

    def has(*ids: int) -> bool:
        return target.query("select id from t order by id") == [(each,) for each in ids]

    with cli.started("run", **process) as line:
        eventually(lambda: target.query("select to_regclass('t') is not null") == [(True,)] and has(1))
        with target.connect() as connection, connection.transaction():
            connection.execute("lock table _cdc.marks in share row exclusive mode")
            database.execute("insert into t values (2, '2'), (3, 'three'), (4, '4')")
            eventually(lambda: len(letters(over_kafka)) == 1, "it is told while the commit waits")
            line.kill()
            line.wait()
            assert has(1)
            assert target.query("select count(*) from _cdc.controls where key like 'parked:%'") == [(0,)]
    with cli.started(
        "run", CDC_TRANSPORT__GROUP="another", **process
    ) as line:  # which need not wait for the dead
        eventually(lambda: count() == 1, "it goes on before the row that it has told of")
        eventually(lambda: has(1, 2, 4))
        assert cli.stop(line).code == 0
    [first, second] = letters(over_kafka)
    assert (first[0], second[0]) == (b'{"id":3}', b'{"id":3}')
    assert first[1]["position"] == second[1]["position"]


@pytest.mark.parametrize("client", ["librdkafka", "kafka-python"])
def test_letters_are_in_order_on_a_topic_that_keeps_them(kafka: Address, prefix: str, client: str) -> None:
    settings = Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix).copy(client=client, partitions=3)
    for _ in range(2):
        topic = LetterTopic(settings, f"{prefix}-dlq")
        topic.put(Record("", b"%d" % n, b"{}", [("cdc.kind", b"row")]) for n in range(50))
        topic.put([Record("", None, b"{}")])
        topic.close()
        with pytest.raises(Stopped):
            topic.put([])
    found = list(read_all(settings, f"{prefix}-dlq"))
    assert [each.key for each in found] == [*(b"%d" % n for n in range(50)), None] * 2
    assert found[0].headers == [("cdc.kind", b"row")]
    with Admin(settings) as admin:
        assert admin.topics("")[f"{prefix}-dlq"] == 1
        configs = admin.configs([f"{prefix}-dlq"])[f"{prefix}-dlq"]
    assert (configs["cleanup.policy"], configs["retention.ms"]) == ("delete", "-1")


def test_who_waits_for_brokers_to_take_a_letter_is_let_go_at_an_end(own_kafka: Broker) -> None:
    own_kafka.start()
    for client in ("librdkafka", "kafka-python"):
        settings = Settings(bootstrap_servers=own_kafka.address.plain, topic_prefix="t").copy(client=client)
        topic = LetterTopic(settings, client)
        errors: list[BaseException] = []
        topic.put([Record("", b"first", b"v")])
        asked = threading.Event()
        put = partial(topic.put, letter(asked))
        waiting = threading.Thread(target=keep_errors, args=(put, errors))
        with own_kafka.standing_still():
            waiting.start()
            assert asked.wait(60)
            topic.close()
            waiting.join(60)
        assert [type(error) for error in errors] == [Stopped]


def letter(asked: threading.Event) -> Iterator[Record]:
    asked.set()
    yield Record("", b"k", b"v")
