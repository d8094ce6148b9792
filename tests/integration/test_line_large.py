"""A transaction far larger than a batch: applied in pieces inside one transaction of the warehouse, in bounded memory."""

from __future__ import annotations

import signal

import psutil

from tests.fixtures.line import Replica, are_live, eventually

ROWS, FEWER = 300_000, 100_000
LIMIT = 450 << 20  # bytes of RSS; all of the rows as Python objects would take more than that alone
SQL = "insert into t select g, 'name ' || g, g %% 100, now(), g * 1.5, md5(g::text) from generate_series(1, %d) g"


def prepared(replica: Replica) -> None:
    replica.listen()
    replica.settings["warehouses.local"] |= {"batch_rows": 5_000}
    replica.settings["transport"] |= {"max_bytes": 16 << 20}
    replica.database.execute(
        "create table t (id int primary key, name text, n int, at timestamptz, x numeric, big text); insert into t values (0)"
    )


def test_in_pieces_and_in_bounded_memory(replica: Replica) -> None:
    prepared(replica)
    with replica.process() as daemon:
        eventually(lambda: are_live(replica.status()), "the daemon is live")
        replica.database.execute(SQL % ROWS)
        process = psutil.Process(daemon.pid)
        highest = 0

        def arrived() -> bool:
            nonlocal highest
            highest = max(highest, process.memory_info().rss)
            status = replica.status()
            return (
                status is not None
                and status.tables[0].inserts == ROWS
                and status.warehouses[0].behind_seconds == 0
            )

        eventually(arrived, "the transaction is applied")
        with replica.process("verify") as verify:
            assert verify.wait() == 0
    assert highest < LIMIT, f"{highest >> 20} MB"


def test_killed_in_the_middle_it_leaves_nothing(replica: Replica) -> None:
    prepared(replica)
    with replica.process() as daemon:
        eventually(lambda: are_live(replica.status()), "the daemon is live")
        replica.database.execute(SQL % FEWER)
        eventually(lambda: applied_rows(replica) >= 10_000, "some of it is applied")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    assert replica.target_rows("public.t").total() == 1
    replica.assert_equal()


def applied_rows(replica: Replica) -> int:
    status = replica.status()
    return status.tables[0].inserts if status else 0


def test_stopped_in_the_middle_it_leaves_nothing_and_comes_again(replica: Replica) -> None:
    prepared(replica)
    with replica.process() as daemon:
        eventually(lambda: are_live(replica.status()), "the daemon is live")
        replica.database.execute(SQL % FEWER)
        eventually(lambda: applied_rows(replica) >= 10_000, "some of it is applied")
        daemon.terminate()
        _, told = daemon.communicate()
        assert daemon.returncode == 0, told
        assert "Traceback" not in told
    assert replica.target_rows("public.t").total() in (1, FEWER + 1)
    replica.assert_equal()
