"""Whatever is written while tables are copied, and wherever chunks end, the target becomes the source.

Changes are made before each round of chunks, while the stream stands still, and in each worker before its chunk's snapshot, so
that chunks of one round show different things. The changes are those of `tests/fixtures/writer.py`: inserts, updates,
deletes, changed and swapped keys, truncates, large values that are not sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.copy_request import CopyRequest
from cdc.daemon import Daemon
from cdc.source.capture import Capture
from cdc.source.chunk import Chunk
from cdc.source.lanes import Lanes
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, before_each_chunk
from tests.fixtures.postgres import PostgresServer, fresh_database
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
EXAMPLES = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": False}


@contextmanager
def writing(replica: Replica, plan: Plan) -> Iterator[None]:
    """Transactions before each round and each chunk, by one writer."""
    writer, lock = Writer(replica.database, plan.seed), threading.Lock()
    turns = {"rounds": 0, "chunks": 0}
    read = Chunk.read

    def write(kind: str, counts: list[int]) -> None:
        with lock:
            turns[kind] += 1
            if turns[kind] < 60:  # or a copy might never come to its end
                for _ in range(counts[turns[kind] % len(counts)]):
                    writer.transaction()

    def after_writing(self: Chunk, capture: Capture, lanes: Lanes) -> None:
        write("chunks", plan.chunks)
        read(self, capture, lanes)

    with before_each_chunk(lambda: write("rounds", plan.rounds)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chunk, "read", after_writing)
        try:
            yield
        finally:
            writer.close()


def converges(replica: Replica, plan: Plan) -> None:
    replica.settings["snapshot"] = plan.limits
    replica.database.execute(SCHEMA)
    fill(replica.database, plan.rows)
    with writing(replica, plan):
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
