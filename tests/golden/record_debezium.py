"""Records what the real Debezium makes of a script, as tests/fixtures/parity.py replays it.

    python -m tests.golden.record_debezium FOLDER [NAME …]

runs each NAME.sql of the folder (default: those that have no recording yet) with NAME.props on PostgreSQL 15 and writes
NAME.jsonl; also NAME.schema.jsonl, by a second run, where the script's first line is `-- schemas`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import Received, read_all
from tests.fixtures.connect_worker import Connect, Worker, source
from tests.fixtures.kafka_broker import Broker
from tests.fixtures.parity import LOCALE, Case, run_script
from tests.fixtures.postgres import Database, PostgresServer, postgres_server

END = "parity"  # prefix of the logical message that ends a recording
PATIENCE = 60.0
JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
HEARTBEATS = 2  # how many there are is chance: so many are kept


def record(case: Case, server: PostgresServer, worker: Worker, brokers: str, *, schemas: bool) -> list[bytes]:
    """The lines of a recording."""
    with _database(server, case.prefix) as database:
        setup, _, streamed = (case.folder / f"{case.name}.sql").read_text().partition("\n-- stream\n")
        run_script(database, setup)
        flag = str(schemas).lower()
        converters = {}
        for side in ("key", "value"):
            converters |= {f"{side}.converter": JSON_CONVERTER, f"{side}.converter.schemas.enable": flag}
        converters["value.converter.json.schemas.enable"] = flag  # CloudEventsConverter's name for it
        worker.add(case.prefix, {**source(database), **converters, **case.properties()})
        try:
            _until(lambda: _streams(database), worker)
            run_script(database, streamed)
            database.query(f"select pg_logical_emit_message(false, '{END}', 'end')::text")
            settings = Settings(bootstrap_servers=brokers, topic_prefix=case.prefix)
            found: list[Received] = []

            def ended() -> bool:
                worker.check(case.prefix)
                found[:] = read_all(settings, f"{case.prefix}.message")
                return any(_is_end(each) for each in found)

            _until(ended, worker)
            lines = []
            for topic in _topics(case, settings):
                kept = [_line(each) for each in read_all(settings, topic) if not _is_end(each)]
                lines += kept[:HEARTBEATS] if topic.endswith(case.prefix) else kept
        finally:
            worker.remove(case.prefix)
            _until(lambda: not _streams(database), worker)
    return lines


def _topics(case: Case, settings: Settings) -> list[str]:
    """Those of a case: behind its prefix, and its heartbeat's."""
    with Admin(settings) as admin:
        known = admin.topics("")
    delimiters = {".", case.properties().get("topic.delimiter", ".")}
    own = {f"{case.prefix}{delimiter}" for delimiter in delimiters}
    ends = {f"{delimiter}{case.prefix}" for delimiter in delimiters}
    return sorted(topic for topic in known if topic.startswith(tuple(own)) or topic.endswith(tuple(ends)))


def _is_end(record: Received) -> bool:
    return record.topic.endswith(".message") and f'"prefix":"{END}"'.encode() in (record.key or b"")


def _streams(database: Database) -> bool:
    rows = database.query("select active from pg_replication_slots where slot_name = %s", database.name)
    return rows == [(True,)]


def _until(fact: Any, worker: Worker) -> None:
    until = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > until:
            raise RuntimeError(f"nothing comes\n{worker.tail()}")
        time.sleep(0.1)


def _line(record: Received) -> bytes:
    def raw(text: bytes | None) -> msgspec.Raw:
        return msgspec.Raw(b"null" if text is None else text)

    headers = {name: (value or b"").decode() for name, value in record.headers or ()}
    value = {"topic": record.topic, "key": raw(record.key), "value": raw(record.value), "headers": headers}
    return msgspec.json.encode(value)


@contextmanager
def _database(server: PostgresServer, name: str) -> Iterator[Database]:
    admin = Database(server, "postgres")
    admin.execute(f"create database {name} {LOCALE}")
    database = Database(server, name)
    try:
        yield database
    finally:
        for slot in database.slots():
            admin.execute("select pg_drop_replication_slot(%s)", slot)
        admin.execute(f"drop database {name} with (force)")


def main() -> None:
    folder = Path(sys.argv[1])
    names = sys.argv[2:] or [
        path.stem for path in folder.glob("*.sql") if not path.with_suffix(".jsonl").exists()
    ]
    with ExitStack() as opened:
        place = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(postgres_server(15))
        broker = Broker(place / "broker")
        opened.callback(broker.kill)
        broker.start()
        for kind, schemas in ((".jsonl", False), (".schema.jsonl", True)):
            # A worker each: topics are made anew, offsets forgotten.
            connect = Connect(place / f"connect{kind}", broker.address.plain, sink=False)
            opened.callback(connect.kill)
            connect.start()
            worker = Worker(connect.port, str(connect.log))
            for name in names:
                case = Case(folder, name)
                if schemas and not (folder / f"{name}.sql").read_text().startswith("-- schemas"):
                    continue
                try:
                    lines = record(case, server, worker, broker.address.plain, schemas=schemas)
                except (RuntimeError, AssertionError) as error:  # the connector, or the script, has failed
                    sys.stdout.write(f"{name}{kind}: {error}\n")
                    continue
                (folder / f"{name}{kind}").write_bytes(b"".join(line + b"\n" for line in lines))
                sys.stdout.write(f"{name}{kind}: {len(lines)} records\n")
                sys.stdout.flush()
                _forget(case, broker.address.plain)
            connect.kill()


def _forget(case: Case, brokers: str) -> None:
    settings = Settings(bootstrap_servers=brokers, topic_prefix=case.prefix)
    with Admin(settings) as admin:
        admin.delete(_topics(case, settings))


if __name__ == "__main__":
    main()
