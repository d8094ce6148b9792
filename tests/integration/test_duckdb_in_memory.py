"""A DuckDB database in memory: every attempt begins with an empty one, and the slot that is there already."""

from __future__ import annotations

import json
from typing import Any

from cdc.errors import CdcError
from cdc.query import QueryRequest
from tests.fixtures.line import Replica, Running, eventually, replica

__all__ = ["replica"]


def rows(running: Running) -> list[Any]:
    """What `cdc sql` is told of the table; nothing while it is not there."""
    try:
        told = running.daemon.query(
            QueryRequest("select id, note from public.item order by id"), lambda: False
        )
    except CdcError:
        return []
    return [tuple(json.loads(line)) for line in b"".join(told).splitlines()[1:-1]]


def test_it_is_filled_again_at_every_start_and_after_every_failure(replica: Replica) -> None:
    replica.settings["warehouses.local"]["path"] = ":memory:"
    database = replica.database
    database.execute("create table item (id int primary key, note text)")
    database.execute("insert into item select n, 'first' from generate_series(1, 500) n")

    def equal(running: Running) -> bool:
        return rows(running) == database.query("select id, note from item order by id")

    for n in range(2):
        with replica.running() as running:
            eventually(lambda running=running: equal(running))
            database.execute(
                f"update item set note = 'streamed {n}' where id % 7 = {n}; insert into item values ({1000 + n})"
            )
            eventually(lambda running=running: equal(running))
            if n:
                before = running.daemon.status().source.confirmed_lsn
                database.execute("delete from item where id % 5 = 0")
                database.execute(
                    "select pg_terminate_backend(active_pid) from pg_replication_slots where active"
                )
                eventually(lambda running=running: equal(running))
                eventually(lambda running=running: running.are_live())
                assert running.daemon.status().source.confirmed_lsn >= before
        database.execute(
            f"delete from item where id % 11 = {n}; update item set note = 'while it was away' where id % 13 = {n}"
        )
