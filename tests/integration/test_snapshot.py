"""Copies in line with the stream: exact under writers that change what is being copied, and resumed where they stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fixtures.line import Replica, before_each_chunk
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill

SMALL = {"chunk_rows": 15}


@contextmanager
def writing(replica: Replica, seeds: range) -> Iterator[None]:
    """Writers at work."""
    stop = threading.Event()
    writers = [Writer(replica.database, seed) for seed in seeds]
    threads = [threading.Thread(target=writer.until, args=(stop,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("seed", range(6))
def test_every_chunk_is_ahead_of_the_stream(replica: Replica, seed: int) -> None:
    rows, transactions = ((15, 5), (70, 20), (1000, 60))[seed % 3]
    replica.settings["snapshot"] = {"chunk_rows": rows}
    replica.database.execute(SCHEMA)
    fill(replica.database)
    writer = Writer(replica.database, seed)
    act = lambda: [writer.transaction() for _ in range(transactions)]  # noqa: E731
    with before_each_chunk(act), replica.running() as running:
        running.wait_live()
    writer.close()
    replica.assert_equal(*TABLES)


def test_beside_concurrent_writers(replica: Replica) -> None:
    replica.settings["snapshot"] = SMALL
    replica.database.execute(SCHEMA)
    fill(replica.database)
    with writing(replica, range(3)), replica.running() as running:
        running.wait_live()
    replica.assert_equal(*TABLES)


def test_rows_that_swapped_keys_before_the_copy_saw_them(replica: Replica) -> None:
    """The stream then gives the swap without the large values, and under either key the target has the other's."""
    db = replica.database
    db.execute(
        "create table t (id int primary key, n int, big text); alter table t alter big set storage external"
    )
    db.execute("insert into t select g, g, repeat(g::text, 3000) from generate_series(1, 9) g")
    swap = iter(
        (
            "update t set id = 0 where id = 1; update t set id = 1 where id = 2; update t set id = 2 where id = 0;"
            "update t set id = 13 where id = 3; insert into t values (3, 0, 'another')",
        )
    )
    with before_each_chunk(lambda: db.execute(next(swap, "select"))), replica.running() as running:
        running.wait_live()
    replica.assert_equal()
