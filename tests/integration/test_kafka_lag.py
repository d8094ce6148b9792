"""How far appliers without a reader are behind: what the reader elsewhere has proved, and for how long it has not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdc.daemon import Daemon
from cdc.line import Parts
from cdc.serve import HttpServer
from tests.fixtures.cli import Cli
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database

pytestmark = pytest.mark.timeout(300)


@contextmanager
def half(replica: Replica, parts: Parts) -> Iterator[Daemon]:
    """A reader or an applier, until the end of the block."""
    daemon, stop = Daemon(replica.config, parts=parts), threading.Event()
    thread = threading.Thread(target=daemon.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield daemon
    finally:
        stop.set()
        thread.join()


def behind(applier: Daemon) -> float | None:
    return applier.status().warehouses[0].behind_seconds


def rows(applier: Daemon) -> int:
    return applier.status().warehouses[0].rows_applied


def test_an_idle_applier_is_in_sync_while_the_reader_lives_and_ever_further_behind_once_it_is_dead(
    database: Database, tmp_path: Path, kafka: Address, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdc.lag.PROOF_SECONDS", 4.0)
    database.execute("create table item (id int primary key); insert into item values (1), (2)")
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix}
    replica = Replica(
        database,
        tmp_path,
        source={"heartbeat_interval": 1.0},
        transport={**transport, "partitions": 2, "discover_interval": 1.0, "linger": 0.005},
    )
    replica.listen()
    cli = Cli(tmp_path, {"CDC_CONFIG": str(replica.toml)})
    with (
        half(replica, Parts(reader=False)) as applier,
        HttpServer(replica.config.http, applier),
    ):
        with half(replica, Parts(warehouses=())):
            eventually(lambda: behind(applier) == 0, "it is in sync")
            applied = rows(applier)
            assert applied >= 2
            idle_since = time.monotonic()
            eventually(lambda: time.monotonic() - idle_since > 6, "longer than a proof counts")
            eventually(lambda: behind(applier) == 0, "still")
            assert cli("lag", "--max-seconds", "60").code == 0
        ended = time.time()
        database.execute("insert into item values (3)")  # of which nobody will tell
        eventually(lambda: (behind(applier) or 0) > 4, "it is behind")
        before = behind(applier)
        assert before is not None
        eventually(lambda: (behind(applier) or 0) > before + 2, "ever further")
        seconds = behind(applier)
        assert seconds is not None
        assert seconds == pytest.approx(time.time() - ended, abs=6)
        assert cli("lag", "--max-seconds", "3", code=1).code == 1
        with half(replica, Parts(warehouses=())):
            eventually(lambda: behind(applier) == 0, "it is in sync again")
            assert rows(applier) > applied
    assert replica.differences() == {}
