"""Whatever is written while tables are copied, and wherever chunks end, the target becomes the source.

Changes are made before each round of chunks, while the stream stands still, and in each worker before its chunk's snapshot, so
that chunks of one round show different things. The changes are those of `tests/fixtures/writer.py`: inserts, updates,
deletes, changed and swapped keys, truncates, large values that are not sent again.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cdc.copy_request import CopyRequest
from cdc.daemon import Daemon
from cdc.source.capture import Capture
from cdc.source.chunk import Chunk
from cdc.source.lanes import Lanes
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, before_each_chunk, eventually
from tests.fixtures.postgres import Database, PostgresServer, fresh_database
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill


class Plan(NamedTuple):
    """How an example goes. `rounds` and `chunks`: transactions before each of them, over and over."""

    seed: int
    rows: int
    limits: dict[str, Any]
    rounds: list[int]
    chunks: list[int]
    again: bool


LIMITS = st.fixed_dictionaries(
    {
        "chunk_rows": st.integers(1, 120).map(lambda rows: max(rows, 8)),
        "workers": st.integers(1, 3),
        "max_stream_pause": st.sampled_from([0.001, 0.05, 1.0]),
    }
)
COUNTS = st.lists(st.integers(0, 6), min_size=1, max_size=4)
PLANS = st.builds(Plan, st.integers(0, 1 << 16), st.integers(0, 200), LIMITS, COUNTS, COUNTS, st.booleans())
ONE_LINES_EXAMPLES = int(os.environ.get("CDC_EXAMPLES", "8"))
EXAMPLES = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": False}


class Turns:
    """Transactions before each round and each chunk, by one writer, as the plan says that is in force."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._plan: Plan | None = None
        self._writer = Writer(database, 0)
        self._turns: Counter[str] = Counter()

    def begin(self, plan: Plan) -> None:
        with self._lock:
            self._writer.close()
            self._writer = Writer(self._database, plan.seed)
            self._plan = plan
            self._turns.clear()

    def take(self, kind: Literal["rounds", "chunks"]) -> None:
        with self._lock:
            self._turns[kind] += 1
            if self._plan is not None and self._turns[kind] < 60:  # or a copy might never come to its end
                counts: list[int] = getattr(self._plan, kind)
                for _ in range(counts[self._turns[kind] % len(counts)]):
                    self._writer.transaction()

    def close(self) -> None:
        self._writer.close()


@contextmanager
def writing(database: Database) -> Iterator[Turns]:
    """For lines that are opened inside."""
    turns, read = Turns(database), Chunk.read

    def after_writing(self: Chunk, capture: Capture, lanes: Lanes) -> None:
        turns.take("chunks")
        read(self, capture, lanes)

    with before_each_chunk(lambda: turns.take("rounds")), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chunk, "read", after_writing)
        with closing(turns):
            yield turns


def converges(replica: Replica, plan: Plan) -> None:
    replica.settings["snapshot"] = plan.limits
    replica.database.execute(SCHEMA)
    fill(replica.database, plan.rows)
    with writing(replica.database) as turns:
        turns.begin(plan)
        replica.catch_up()
        if plan.again:
            Daemon(replica.config, "copied", request=CopyRequest(restart=True)).run(threading.Event())
    replica.assert_equal(*TABLES)


@settings(max_examples=5, **EXAMPLES)
@given(plan=PLANS)
def test_in_one_process(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory, plan: Plan
) -> None:
    with fresh_database(postgres) as database:
        converges(Replica(database, tmp_path_factory.mktemp("replica")), plan)


@settings(max_examples=2, **EXAMPLES)
@given(plan=PLANS)
def test_over_kafka(
    postgres: PostgresServer, kafka: Address, tmp_path_factory: pytest.TempPathFactory, plan: Plan
) -> None:
    with fresh_database(postgres) as database:
        folder: Path = tmp_path_factory.mktemp("replica")
        transport = {
            "kind": "kafka",
            "bootstrap_servers": kafka.plain,
            "topic_prefix": folder.name + database.name,
        }
        converges(Replica(database, folder, transport=transport), plan)


@pytest.mark.parametrize("partitions", [1, 3])
def test_over_kafka_again_and_again(
    database: Database, target: Database, kafka: Address, prefix: str, tmp_path: Path, partitions: int
) -> None:
    """One line goes on, while some of its tables or all are copied anew at each example, and what was written before stays.

    No example is made smaller: what it begins with is not there a second time.
    """
    transport = {
        **{"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix},
        **{"partitions": partitions, "discover_interval": 1.0, "linger": 0.005},
    }
    limits = {"chunk_rows": 12, "workers": 3, "max_stream_pause": 0.01}
    replica = Replica(database, tmp_path, snapshot=limits, transport=transport).into_postgres(target.dsn)
    database.execute(SCHEMA)
    fill(database)

    with writing(database) as turns, replica.running() as running:
        running.wait_live()

        @settings(max_examples=ONE_LINES_EXAMPLES, phases=[Phase.generate], **EXAMPLES)
        @given(plan=PLANS, tables=st.sets(st.sampled_from(TABLES), min_size=1))
        def run(plan: Plan, tables: set[str]) -> None:
            turns.begin(plan)
            running.daemon.snapshot(CopyRequest(sorted(tables), restart=True))
            running.wait_live()
            eventually(lambda: running.errors or not replica.differences(*TABLES), "they become equal")
            assert not running.errors

        run()
