"""Everything breaks at random while clients write: at the end the target is the source, row by row, keyless tables included.

CDC_CHAOS_SECONDS makes it longer (`make chaos`), CDC_CHAOS_SEED repeats one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdc.testing.faults import FaultyProxy
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database, PostgresServer, fresh_database, postgres_server
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill

SECONDS = float(os.environ.get("CDC_CHAOS_SECONDS", "12"))
SEED = int(os.environ.get("CDC_CHAOS_SEED", "0")) or random.SystemRandom().randint(1, 1 << 30)
TRY_AGAIN = 75
# -SIGTERM: it came before Python could take it; 143: a second one, during the clean end of the first
ALLOWED = (0, TRY_AGAIN, -signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120 + 2 * SECONDS)]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One for this test alone, since it crashes."""
    with postgres_server(18) as server:
        yield server


class Supervisor:
    """Keeps `cdc run` going as systemd would: whatever ends it, it is started again. A failure that is no "try again" is kept."""

    def __init__(self, replica: Replica, command: str = "run") -> None:
        self._replica = replica
        self._command = command
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep)
        self.process: subprocess.Popen[str] | None = None
        self.starts = 0
        self.failures: list[str] = []

    def __enter__(self) -> Supervisor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.signal(signal.SIGTERM)
        self._thread.join()

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def _keep(self) -> None:
        while not self._stop.is_set():
            with self._replica.process(self._command, stdout=subprocess.DEVNULL) as self.process:
                self.starts += 1
                if self._stop.is_set():
                    self.process.send_signal(signal.SIGTERM)
                _, told = self.process.communicate()
                if "Traceback" in told or self.process.returncode not in ALLOWED:
                    self.failures.append(f"exit {self.process.returncode}: {told[-3000:]}")
            self._stop.wait(0.2)


def test_everything_breaks_and_nothing_is_lost(server: PostgresServer, tmp_path: Path) -> None:
    sys.stdout.write(f"CDC_CHAOS_SEED={SEED}\n")
    chance = random.Random(SEED)
    with fresh_database(server) as database, FaultyProxy("127.0.0.1", server.port) as proxy:
        replica = prepared(database, tmp_path, proxy)
        stop = threading.Event()
        writers = [Writer(database, chance.randint(0, 1 << 30)) for _ in range(3)]
        threads = [threading.Thread(target=writer.until, args=(stop,)) for writer in writers]
        with Supervisor(replica) as supervisor:
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                stop.wait(chance.uniform(0.3, 2.5))
                chance.choices(*disasters(chance, server, proxy, supervisor))[0]()
                assert not supervisor.failures, supervisor.failures
            proxy.flow()
            stop.set()
            for thread, writer in zip(threads, writers, strict=True):
                thread.join()
                writer.close()
        assert not supervisor.failures, supervisor.failures
        assert supervisor.starts > 1
        assert sum(writer.committed for writer in writers) > 20 * SECONDS
        replica.settings["source"]["dsn"] = database.dsn
        replica.settings["warehouses.local"]["batch_rows"] = 10_000  # the rest in fewer commits
        eventually(
            lambda: not database.query("select 1 from pg_replication_slots where active"), "the slot is free"
        )
        replica.assert_equal(*TABLES)


def prepared(database: Database, folder: Path, proxy: FaultyProxy) -> Replica:
    """Tables, and a configuration in which everything happens often."""
    database.execute(SCHEMA)
    fill(database)
    replica = Replica(database, folder, snapshot={"chunk_rows": 20})
    replica.settings["source"] |= {
        "dsn": database.dsn.replace(f":{database.server.port}/", f":{proxy.port}/"),
        "flush_interval": 0.3,
    }
    replica.settings["warehouses.local"] |= {"batch_rows": 40, "max_delay": 0.05}
    return replica


def disasters(
    chance: random.Random, server: PostgresServer, proxy: FaultyProxy, supervisor: Supervisor
) -> tuple[list[Callable[[], None]], list[int]]:
    """What may happen, and how often."""

    def restart_server() -> None:
        server.stop(chance.choice(("fast", "immediate")))
        time.sleep(chance.uniform(0, 0.5))
        server.start()

    def unreachable() -> None:
        proxy.refuse()
        time.sleep(chance.uniform(0.1, 1))
        proxy.flow()

    def stalled() -> None:
        proxy.stall()
        time.sleep(chance.uniform(0.1, 1))
        proxy.cut()
        proxy.flow()

    choices: list[tuple[Callable[[], None], int]] = [
        (lambda: supervisor.signal(signal.SIGKILL), 8),
        (lambda: supervisor.signal(signal.SIGTERM), 2),
        (proxy.cut, 5),
        (lambda: proxy.cut_after(chance.randint(100, 200_000)), 3),
        (unreachable, 2),
        (stalled, 2),
        (restart_server, 2),
    ]
    return [act for act, _ in choices], [weight for _, weight in choices]
