"""A commit can reach the stream before other sessions see it; what is read beside the stream waits until they do.

It is made to last by a synchronous standby that is not there (see PostgreSQL's documentation of synchronous_standby_names).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cdc.reader import Reader
from cdc.source.connect import connect
from cdc.source.slot import ensure_publication, ensure_slot
from cdc.source.snapshot import SnapshotJob
from cdc.source.visibility import Snapshot
from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.postgres import Database

COLUMNS = "id int primary key, v text, big text"


def prepare(replica: Replica) -> None:
    """A captured table that is not copied yet: its changes are streamed from here on."""
    replica.database.execute(f"create table t ({COLUMNS}); alter table t alter big set storage external")
    replica.database.execute("insert into t values (1, 'old', repeat('x', 5000)), (2, 'old', '')")
    with connect(replica.config.source) as connection:
        ensure_publication(connection, replica.config.source, [("public", "t")])
        ensure_slot(connection, replica.config.source)


@contextmanager
def committed_unseen(database: Database, statement: str) -> Iterator[Callable[[], None]]:
    """The statement is committed and streamed, and no session sees it until the function is called."""

    def write() -> None:
        with database.connect(application_name="waiting") as connection:
            connection.execute(statement.encode())

    def release() -> None:
        with database.connect() as admin:
            admin.execute("alter system reset synchronous_standby_names")
            admin.execute("select pg_reload_conf()")
        thread.join()

    thread = threading.Thread(target=write)
    with database.connect() as admin:
        admin.execute("alter system set synchronous_standby_names = 'nobody'")
        admin.execute("select pg_reload_conf()")
    waits = "select wait_event from pg_stat_activity where application_name = 'waiting'"
    try:
        thread.start()
        eventually(lambda: database.query(waits) == [("SyncRep",)], "the commit waits")
        yield release
    finally:
        release()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each attempt to copy a chunk; none is made before a transaction was streamed."""
    found: list[int] = []

    class Counted(SnapshotJob):
        def due(self, reader: Reader) -> bool:
            return (bool(reader.xids) or bool(found)) and super().due(reader)

        def step(self, reader: Reader) -> bool:
            found.append(len(reader.xids))
            return super().step(reader)

    monkeypatch.setattr("cdc.reading.SnapshotJob", Counted)
    # A copy that begins waits for open writers, too (the commit below is one to the server): here the snapshot alone must tell.
    monkeypatch.setattr("cdc.source.writers.Writers.are_over", lambda *_: True)
    return found


def applied(running: Running) -> int:
    table = running.table("public.t")
    return table.updates if table else 0


def test_a_copy_waits_for_what_it_does_not_see(replica: Replica, looks: list[int]) -> None:
    """Also over a restart, after which the transaction is not streamed again."""
    prepare(replica)
    with committed_unseen(replica.database, "update t set v = 'new', big = ''") as release:
        with replica.running() as running:
            eventually(lambda: len(looks) > 10, "looked again")
            assert not running.are_live()
        looks.clear()  # and the transaction is still remembered
        with replica.running() as running:
            eventually(lambda: len(looks) > 10, "looked again after the restart")
            assert not running.are_live()
            assert replica.database.query("select distinct v from t") == [("old",)]
            release()
            running.wait_live()
    replica.assert_equal()


def test_without_looking_a_copy_would_be_wrong(
    replica: Replica, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the test before proves something."""
    prepare(replica)
    monkeypatch.setattr(Snapshot, "shows_all", lambda *_: True)
    statement = "update t set v = 'new', big = ''"
    with committed_unseen(replica.database, statement), replica.running() as running:
        running.wait_live()
    with pytest.raises(AssertionError, match="2 lacking, 2 too many"):
        replica.assert_equal()


def test_a_look_up_waits_for_what_it_does_not_see(replica: Replica) -> None:
    """The row's other half is selected from the source, where under its new key nobody sees it yet."""
    replica.settings["snapshot"] = {"mode": "no_data"}
    prepare(replica)
    with (
        committed_unseen(replica.database, "update t set id = 10 where id = 1") as release,
        replica.running() as running,
    ):
        waiting = "select count(*) from pg_stat_activity where query like '%%pg_current_snapshot%%' and datname = %s"
        eventually(lambda: replica.database.query(waiting, replica.database.name) != [(0,)], "a look-up")
        release()
        eventually(lambda: applied(running) == 1, "the update is applied")
    assert [row[:2] for row in replica.target_rows("public.t")] == [("10", "old")]
    assert replica.target_rows("public.t") < replica.source_rows("public.t")


def test_a_new_shape_waits_for_what_it_does_not_see(replica: Replica) -> None:
    """The stream tells of a column that the catalog does not have yet, and so not what old rows show in it."""
    prepare(replica)
    replica.catch_up()
    statement = "alter table t add column x int default 7; insert into t values (3, '', '', 8)"
    waiting = (
        "select count(*) from pg_stat_activity where query like '%%pg_current_snapshot%%' and datname = %s"
    )
    with replica.running() as running, committed_unseen(replica.database, statement) as release:
        eventually(
            lambda: replica.database.query(waiting, replica.database.name) != [(0,)], "it asks the catalog"
        )
        release()
        eventually(lambda: (table := running.table("public.t")) and table.inserts == 1, "the row is applied")
    replica.assert_equal()
