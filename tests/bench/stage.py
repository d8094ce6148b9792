"""What Kafka's measurements play on: a database with the orders, a broker, a Kafka Connect worker, and our commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import psycopg

from cdc.embedded import EmbeddedPostgres
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from tests.fixtures.connect_worker import SINK, Connect, Worker, source
from tests.fixtures.kafka_broker import Broker
from tests.fixtures.postgres import Database

JAVA = ["java", "-Xms512m", "-Xmx1536m", "-XX:+UseG1GC"]
JSON = "org.apache.kafka.connect.json.JsonConverter"
TUNED = {
    "max.batch.size": "16384",
    "max.queue.size": "65536",
    "producer.override.batch.size": "262144",
    "producer.override.linger.ms": "20",
    "producer.override.compression.type": "lz4",
    "snapshot.mode": "no_data",
    "publication.name": "cdc",
}
CONFIG = """
[source]
dsn = "{dsn}"
slot = "{name}"
[snapshot]
mode = "{mode}"
[transport]
kind = "kafka"
bootstrap_servers = "{brokers}"
topic_prefix = "{prefix}"
discover_interval = 0.5
[format]
{form}
[warehouses.local]
{warehouse}
[http]
listen = ""
[log]
level = "warning"
"""
PATIENCE = 1800.0


class Pace(NamedTuple):
    """From the first record that was seen on, so that nobody's start counts."""

    rate: float
    """Records a second."""
    cpu: float
    """CPU-seconds, for all records at the cost of those that were watched."""


class Bench(Protocol):
    """What `__main__.Bench` has."""

    folder: Path
    server: EmbeddedPostgres
    scale: float

    def database(self, name: str) -> psycopg.Connection: ...


class Stage:
    """A database with the orders, a broker, and a Kafka Connect worker."""

    def __init__(self, bench: Bench, name: str, *, source_too: bool) -> None:
        self._bench = bench
        self._name = name
        self._opened = ExitStack()
        self.connection = self._opened.enter_context(bench.database(name))
        self.connection.execute("create publication cdc for all tables")
        folder = bench.folder / name
        self._broker = Broker(folder / "broker", heap="1g")
        self._opened.callback(self._broker.kill)
        self._broker.start()
        address = self._broker.address.plain
        self.connect = Connect(folder / "connect", address, sink=not source_too, source=source_too, java=JAVA)
        self._opened.callback(self.connect.kill)
        self.connect.start()
        self._worker = Worker(self.connect.port, str(self.connect.log))

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def slot(self, name: str) -> None:
        self.connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])

    def forget(self, *slots: str) -> None:
        """Let slots begin here."""
        for slot in slots:
            self.connection.execute(
                "select pg_replication_slot_advance(%s, pg_current_wal_insert_lsn())", [slot]
            )

    def target(self, name: str) -> str:
        self.connection.execute(f"create database {name}".encode())
        return self._bench.server.dsn(name)

    def config(self, prefix: str, form: str, warehouse: str, group: str = "", mode: str = "no_data") -> Path:
        path = self._bench.folder / f"{prefix}{group}.toml"
        dsn, brokers = self._bench.server.dsn(self._name), self._broker.address.plain
        text = CONFIG.format(
            dsn=dsn, name=prefix, brokers=brokers, prefix=prefix, form=form, warehouse=warehouse, mode=mode
        )
        path.write_text(text.replace("[format]", f'group = "{group}"\n[format]'))
        return path

    @contextmanager
    def cdc(self, command: str, config: Path) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen([sys.executable, "-m", "cdc", command, "-c", str(config)]) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)

    @contextmanager
    def connector(self, name: str, form: Mapping[str, str]) -> Iterator[None]:
        database = Database(self._bench.server, self._name)
        converters = {}
        for side in ("key", "value"):
            converters |= {f"{side}.converter": JSON, f"{side}.converter.schemas.enable": "false"}
        own = {"slot.name": name, "topic.prefix": name}
        with self._added(name, {**source(database), **TUNED, **form, **converters, **own}):
            yield

    @contextmanager
    def sink(self, topics: str) -> Iterator[None]:
        server = self._bench.server
        self.target("jdbc")
        config = {
            "connector.class": SINK,
            "topics": f"{topics}.public.orders",
            "connection.url": f"jdbc:postgresql://127.0.0.1:{server.port}/jdbc?reWriteBatchedInserts=true",
            "connection.username": "postgres",
            "connection.password": server.password,
            "insert.mode": "upsert",
            "delete.enabled": "true",
            "primary.key.mode": "record_key",
            "schema.evolution": "basic",
            "batch.size": "5000",
            "header.converter": "org.apache.kafka.connect.storage.StringConverter",
            "consumer.override.auto.offset.reset": "earliest",
            "consumer.override.max.poll.records": "5000",
        }
        for side in ("key", "value"):
            config |= {f"{side}.converter": JSON, f"{side}.converter.schemas.enable": "true"}
        with self._added("sink", config):
            yield

    @contextmanager
    def _added(self, name: str, config: dict[str, str]) -> Iterator[None]:
        self._worker.add(name, config)
        try:
            yield
        finally:
            self._worker.remove(name)

    def await_records(self, prefix: str, count: int, pid: int = 0) -> Pace:
        """Wait for so many on the table's topic, and see what the process takes for them."""
        with Admin(Settings(bootstrap_servers=self._broker.address.plain, topic_prefix=prefix)) as admin:
            return _pace(lambda: self._there(admin, prefix), count, pid)

    def await_applied(self, group: str, prefix: str, pid: int = 0) -> Pace:
        """Wait until a group has committed all that is on the table's topic."""
        with Admin(Settings(bootstrap_servers=self._broker.address.plain, topic_prefix=prefix)) as admin:
            partition = (f"{prefix}.public.orders", 0)
            return _pace(lambda: admin.committed(group).get(partition, 0), self._there(admin, prefix), pid)

    @staticmethod
    def _there(admin: Admin, prefix: str) -> int:
        topic = f"{prefix}.public.orders"
        return admin.offsets([(topic, 0)])[topic, 0] if topic in admin.topics() else 0


def _pace(count: Callable[[], int], goal: int, pid: int) -> Pace:
    begun = cpu = 0.0
    before, deadline = 0, time.monotonic() + PATIENCE
    while True:
        found, now, spent = count(), time.monotonic(), cpu_of(pid) if pid else 0.0
        if found and not begun:
            begun, before, cpu = now, found, spent
        if found >= goal > before:
            return Pace((goal - before) / (now - begun), (spent - cpu) * goal / (goal - before))
        if found >= goal:
            raise SystemExit("all was there at the first look: too few records to measure")
        if now > deadline:
            raise SystemExit(f"{found} of {goal} after {PATIENCE:.0f} s")
        time.sleep(0.05)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> float:
    """MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
