"""The real Debezium writes, `cdc apply` reads: warehouses are equal to the source, with embedded schemas and by inference."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdc.daemon import Daemon
from cdc.line import Parts
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from tests.fixtures.connect_worker import Worker, source
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, eventually, keep_errors
from tests.fixtures.postgres import Database, fresh_database

JSON = "org.apache.kafka.connect.json.JsonConverter"
TYPES = """
    create type mood as enum ('sad', 'ok');
    create table types (
        id bigint primary key, s smallint, i integer, big bigint, t text, v varchar(20), b boolean, f real, g double precision,
        n numeric(10, 2), d date, c time(3), c6 time, ts timestamp(3), ts6 timestamp, tz timestamptz, u uuid, j jsonb,
        y bytea, ta text[], ia integer[], m mood, ip inet, r int4range);
    insert into types select k, k, -k, k * 1000000000::bigint, 'text ' || k, 'é😀 ' || k, k % 2 = 0, k / 8.0, k / 3.0, k / 7.0,
        date '2024-01-01' + k, time '01:02:03.456', time '01:02:03.456789', timestamp '2024-02-29 01:02:03.456',
        timestamp '1969-12-31 23:59:59.999999', timestamptz '2024-02-29 01:02:03.456789+02', md5(k::text)::uuid,
        jsonb_build_object('k', k, 'l', array[k, null]), decode(md5(k::text), 'hex'), array['a', null, 'b,' || k],
        array[k, null], 'ok', '10.0.0.1/8', int4range(k, k + 5) from generate_series(1, 50) k;
    insert into types (id) values (1000);
"""
PLAIN = """
    create table plain (id bigint primary key, n bigint, t text, b boolean, g double precision);
    insert into plain select k, k * 10, 'note ' || k, k % 2 = 0, k + 0.5 from generate_series(1, 50) k;
"""
OTHERS = """
    create table pairs (a integer, b text, v text, primary key (b, a));
    create table large (id integer primary key, n integer, doc text);
    alter table large alter doc set storage external;
    create table emptied (id integer primary key);
    insert into emptied values (1);
    create table log (at bigint, what text);
    alter table log replica identity full;
    insert into pairs select k, 'k' || k % 5, 'v' from generate_series(1, 40) k;
    insert into large select k, 0, repeat('x', 5000) || k from generate_series(1, 10) k;
    insert into log select k % 3, 'same' from generate_series(1, 9) k;
"""
CHANGES = """
    update types set t = 'changed', n = null, ta = '{}' where id % 3 = 0;
    delete from types where id % 10 = 1;
    update types set id = id + 2000 where id % 10 = 2;
"""
PLAIN_CHANGES = """
    update plain set t = 'changed', n = 1 where id % 3 = 0;
    delete from plain where id % 10 = 1;
    update plain set id = id + 2000 where id % 10 = 2;
    insert into plain values (5000, 1, 'new', true, 0.25);
"""
MORE = """
    update pairs set v = 'w' where a % 2 = 0;
    update pairs set b = 'moved' where a % 7 = 0;
    delete from pairs where a % 9 = 0;
    update large set n = n + 1;
    update large set doc = 'short' where id = 3;
    update large set id = id + 100 where id > 8;
    delete from large where id = 4;
    update log set what = 'other' where at = 0;
    delete from log where at = 1;
    truncate emptied;
    insert into emptied values (2);
"""


class Interop(Replica):
    """Debezium's connector in front of our applier."""

    worker: Worker
    broker: str

    @contextmanager
    def connector(self, **properties: str) -> Iterator[None]:
        """Debezium's connector over the database, under its name."""
        name = self.database.name
        given = {key.replace("_", "."): value for key, value in properties.items()}
        converters = {"key.converter": JSON, "value.converter": JSON}
        base = {"publication.autocreate.mode": "all_tables", "publication.name": f"{name}_pub"}
        self.worker.add(name, {**source(self.database), **converters, **base, **given})
        try:
            yield
        finally:
            self.worker.remove(name)

    def apply(self, *tables: str) -> None:
        """Apply what is on the topics, until all that is committed now is equal in the target."""
        stop, errors = threading.Event(), list[BaseException]()
        daemon = Daemon(self.config, parts=Parts(False, None))
        thread = threading.Thread(target=keep_errors, args=(lambda: daemon.run(stop), errors))
        thread.start()
        try:
            eventually(lambda: errors or self._is_applied(tables), "all is applied")
        finally:
            stop.set()
            thread.join()
        if errors:
            raise errors[0]

    def _is_applied(self, tables: tuple[str, ...]) -> bool:
        """Has Debezium published all, and the group committed it?"""
        self.worker.check(self.database.name)
        settings = Settings(bootstrap_servers=self.broker, topic_prefix=self.database.name)
        with Admin(settings) as admin:
            topics = [f"{self.database.name}.public.{table}" for table in tables]
            if not set(topics) <= set(admin.topics()) or not self._is_published():
                return False
            return not any(each.records for each in admin.lag(settings.group_of("local"), topics))

    def _is_published(self) -> bool:
        """Debezium confirms what it has flushed: all up to now, once a marker behind it is."""
        self.database.query("select pg_logical_emit_message(false, 'cdc', 'x')::text")
        query = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s"
        return self.database.query(query, self.end, self.database.name) == [(True,)]

    end = "0/0"

    def run_and_compare(self, *tables: str) -> None:
        self.end = self.database.query("select pg_current_wal_insert_lsn()::text")[0][0]
        self.apply(*tables)
        for table in tables:
            source_rows, target = self.source_rows(f"public.{table}"), self.target_rows(f"public.{table}")
            assert source_rows == target, (table, source_rows - target, target - source_rows)


@pytest.fixture(params=["duckdb", "postgres"])
def interop(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, kafka: Address, debezium: Worker
) -> Iterator[Interop]:
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": database.name}
    settings = {"transport": {**transport, "discover_interval": 0.5}, "format": {"compat": "debezium"}}
    with fresh_database(database.server) as target:
        replica = Interop(database, tmp_path, transport=settings["transport"])
        replica.settings["format"] = dict(settings["format"])
        if request.param == "postgres":
            replica.settings["warehouses.local"] = {"kind": "postgres", "dsn": target.dsn}
        replica.worker, replica.broker = debezium, kafka.plain
        yield replica


def test_with_embedded_schemas_every_type_arrives(interop: Interop) -> None:
    interop.database.execute(TYPES)
    interop.database.execute(OTHERS)
    schemas = {"key_converter_schemas_enable": "true", "value_converter_schemas_enable": "true"}
    tables = ("types", "pairs", "large", "log", "emptied")
    with interop.connector(**schemas, skipped_operations="none"):
        interop.run_and_compare(*tables)
        interop.database.execute(CHANGES)
        interop.database.execute(MORE)
        with (
            interop.database.connect() as session,
            session.cursor().copy("copy types (id, t) from stdin") as copy,
        ):
            for number in range(9000, 9500):  # many rows in one WAL record
                copy.write_row((number, "copied"))
        interop.run_and_compare(*tables)


def test_without_schemas_types_are_inferred(interop: Interop) -> None:
    interop.database.execute(PLAIN)
    schemas = {"key_converter_schemas_enable": "false", "value_converter_schemas_enable": "false"}
    with interop.connector(**schemas):
        interop.run_and_compare("plain")
        interop.database.execute(PLAIN_CHANGES)
        interop.run_and_compare("plain")
