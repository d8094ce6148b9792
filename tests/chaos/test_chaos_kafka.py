"""Over Kafka everything is killed at random while clients write: at the end the targets are the source, row by row.

One reader and two appliers of one PostgreSQL warehouse, each a process of its own, that share the topics' partitions.
CDC_CHAOS_SECONDS makes it longer (`make chaos`), CDC_CHAOS_SEED repeats one.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.test_chaos import SECONDS, SEED, Supervisor
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica
from tests.fixtures.postgres import Database, PostgresServer, fresh_database, postgres_server
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240 + 2 * SECONDS)]


@pytest.mark.parametrize("client", ["librdkafka", "kafka-python"])
def test_reader_and_appliers_are_killed(kafka: Address, prefix: str, tmp_path: Path, client: str) -> None:
    sys.stdout.write(f"CDC_CHAOS_SEED={SEED}\n")
    chance = random.Random(SEED)
    with ExitStack() as held:
        server: PostgresServer = held.enter_context(postgres_server(18))
        source, target = (held.enter_context(fresh_database(server)) for _ in range(2))
        source.execute(SCHEMA)
        fill(source)
        replica = over_kafka(source, target, tmp_path, kafka, prefix, client)
        stop = threading.Event()
        writers = [Writer(source, chance.randint(0, 1 << 30)) for _ in range(2)]
        threads = [threading.Thread(target=writer.until, args=(stop,)) for writer in writers]
        parts = [held.enter_context(Supervisor(replica, command)) for command in ("read", "apply", "apply")]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            stop.wait(chance.uniform(1, 4))
            chance.choice(parts).signal(chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
            assert not any(part.failures for part in parts), [part.failures for part in parts]
        stop.set()
        for thread, writer in zip(threads, writers, strict=True):
            thread.join()
            writer.close()
        assert sum(writer.committed for writer in writers) > 10 * SECONDS
        until = time.monotonic() + 150
        while (left := differences(source, target)) and not any(part.failures for part in parts):
            assert time.monotonic() < until, f"they do not become equal: {left}"
            time.sleep(0.2)
        assert not any(part.failures for part in parts), [part.failures for part in parts]
        assert sum(part.starts for part in parts) > len(parts)


def test_a_line_into_a_file_is_killed(
    kafka: Address, prefix: str, database: Database, tmp_path: Path
) -> None:
    """`cdc run` over Kafka into DuckDB, where nobody can look while it runs."""
    sys.stdout.write(f"CDC_CHAOS_SEED={SEED}\n")
    chance = random.Random(SEED)
    database.execute(SCHEMA)
    fill(database)
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix}
    replica = Replica(database, tmp_path, snapshot={"chunk_rows": 20}, transport=transport)
    replica.settings["transport"] |= {"partitions": 3, "discover_interval": 1.0, "linger": 0.005}
    replica.settings["source"]["flush_interval"] = 0.3
    replica.settings["warehouses.local"] |= {"batch_rows": 200, "max_delay": 0.05}
    stop = threading.Event()
    writer = Writer(database, chance.randint(0, 1 << 30))
    thread = threading.Thread(target=writer.until, args=(stop,))
    with Supervisor(replica) as supervisor:
        thread.start()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            stop.wait(chance.uniform(1, 5))
            supervisor.signal(chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
            assert not supervisor.failures, supervisor.failures
        stop.set()
        thread.join()
        writer.close()
    assert not supervisor.failures, supervisor.failures
    assert supervisor.starts > 1
    replica.assert_equal()


def over_kafka(
    source: Database, target: Database, folder: Path, kafka: Address, prefix: str, client: str
) -> Replica:
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix, "client": client}
    replica = Replica(source, folder, snapshot={"chunk_rows": 20}, transport=transport)
    replica.settings["transport"] |= {"partitions": 3, "discover_interval": 1.0, "linger": 0.005}
    replica.settings["source"]["flush_interval"] = 0.3
    replica.settings["warehouses.local"] = {
        "kind": "postgres",
        "dsn": target.dsn,
        "batch_rows": 200,
        "max_delay": 0.05,
    }
    return replica


def differences(source: Database, target: Database) -> dict[str, tuple[int, int]]:
    """Per table that differs: how many rows the target lacks, and how many it has too many."""
    found = {}
    for table in TABLES:
        rows, copies = texts(source, table), texts(target, table)
        if rows != copies:
            found[table] = ((rows - copies).total(), (copies - rows).total())
    return found


def texts(database: Database, table: str) -> Counter[str]:
    """Its rows; of a table that is not there yet, something that no table has."""
    if not database.query("select to_regclass(%s) is not null", table)[0][0]:
        return Counter({"there is no table": 1})
    columns = "n, v" if "keyless" in table else "*"
    return Counter(
        text for (text,) in database.query(f"select t::text from (select {columns} from {table}) t")
    )
