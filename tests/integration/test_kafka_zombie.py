"""An applier stands still for longer than its session lasts, then goes on as if nothing had been: nothing is applied twice."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.fixtures.cli import Cli
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database
from tests.integration.test_line_kafka import await_published, listening
from tests.integration.test_line_kafka import over_kafka as over_kafka

SETUP = """
    create table orders (id int primary key, n int);
    create table visits (page text, n int);
    alter table visits replica identity full;
"""
LOAD = """
    insert into orders select k, 0 from generate_series(1, 1000) k;
    insert into visits select 'page ' || k % 7, k % 3 from generate_series(1, 1000) k;
    update orders set n = n + 1;
    delete from visits where n = 0;
"""
LATER = "insert into orders select k, 0 from generate_series(2001, 2200) k"
MORE = "update orders set n = n + 1 where id % 2 = 0; insert into visits values ('late', 9); delete from orders where id < 50"
SAID = ("partitions lost", "another applier has gone on")
SESSION = {"session.timeout.ms": 3000}
SLOW = 20  # rows of a batch: so many batches wait in the client when it is stopped

pytestmark = pytest.mark.timeout(200)


def offsets(target: Database) -> dict[str, int]:
    """What is stored of each partition."""
    tables = "select format('%I.%I', table_schema, table_name) from information_schema.columns where column_name = 'next_offset'"
    found = target.query(tables)
    return dict(target.query(f"select partition, next_offset from {found[0][0]}")) if found else {}


def stop_between_batches(zombie: subprocess.Popen[str], target: Database) -> None:
    """While it holds no transaction, and much is left to do: else whoever comes next would wait for its locks."""
    query = "select state from pg_stat_activity where application_name = 'zombie'"
    eventually(lambda: sum(offsets(target).values()) > 100, "it is at work")
    while True:
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(0.05)  # what it has asked for ends
        states = target.query(query)
        if states and all(state == "idle" for (state,) in states):
            return
        zombie.send_signal(signal.SIGCONT)
        time.sleep(0.02)


def test_a_zombie_applies_nothing_twice(over_kafka: Replica, target: Database, tmp_path: Path) -> None:
    over_kafka.into_postgres(target.dsn, batch_rows=SLOW, max_delay=0.01)
    over_kafka.settings["transport.librdkafka"] = {f'"{name}"': value for name, value in SESSION.items()}
    database, cli = over_kafka.database, Cli(tmp_path)
    database.execute(SETUP)
    reading, first, second = (listening(over_kafka) for _ in range(3))
    seen: list[dict[str, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(offsets(target))

    def is_equal() -> bool:
        tables = target.query("select count(*) from pg_tables where tablename in ('orders', 'visits')")
        return tables == [(2,)] and over_kafka.differences() == {}

    watcher = threading.Thread(target=watch)
    try:
        with cli.started("read", **reading) as reader:
            await_published(over_kafka, reading)
            database.execute(LOAD)
            await_published(over_kafka, reading)
            watcher.start()
            with (
                cli.started("apply", CDC_WAREHOUSES__LOCAL__APPLICATION_NAME="zombie", **first) as zombie,
                cli.started("apply", **second) as heir,
            ):
                stop_between_batches(zombie, target)
                left = sum(offsets(target).values())
                database.execute(LATER)
                eventually(is_equal, "the other applies all that there is")
                assert sum(offsets(target).values()) > left
                lines: list[str] = []
                assert zombie.stderr is not None
                listener = threading.Thread(target=lines.extend, args=(zombie.stderr,), daemon=True)
                listener.start()
                zombie.send_signal(signal.SIGCONT)
                eventually(lambda: any(said in line for line in tuple(lines) for said in SAID), "it says so")
                database.execute(MORE)
                eventually(is_equal, "both go on")
                zombie.send_signal(signal.SIGTERM)
                assert zombie.wait(60) == 0
                listener.join(60)
                assert cli.stop(heir).code == 0
            assert cli.stop(reader).code == 0
    finally:
        done.set()
        watcher.join()
    assert over_kafka.differences() == {}
    for before, after in itertools.pairwise(seen):
        assert all(after[partition] >= offset for partition, offset in before.items())
