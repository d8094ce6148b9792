"""Where DDL ends transactions, the line dies behind each statement of it: it goes on from there, and the ends are equal.

Of a death between a rename and the commit behind it the target alone cannot tell: then the table is copied anew, by itself or,
where the shapes that follow do not show it, once it is parked and somebody says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.fixtures.line import Replica
from tests.fixtures.mariadb import MariaDB
from tests.fixtures.postgres import Database
from tests.integration.test_resync import resync

TABLE = "create table t (id int primary key, a text, b varchar(10), c int, d text);"
ROWS = "insert into t select n, 'a' || n, 'b', n, 'd' from generate_series(1, 30) n;"
CHANGES = (
    "begin; insert into t values (31, 'x', 'y', 1, 'z'); alter table t rename a to a2;"
    " insert into t values (32, 'x', 'y', 1, 'z'); update t set a2 = 'renamed' where id = 1; commit",
    "alter table t drop column d; insert into t values (33, 'x', 'y', 1); update t set b = 'w' where id = 2",
    "alter table t add e int default 7; insert into t values (34, 'x', 'y', 1, 8)",
    "alter table t alter b type varchar(50); alter table t rename c to c2",
    "update t set b = repeat('w', 40), id = id + 100 where id = 3",
    "create table second (id int primary key, v text); insert into second values (1, 'one')",
    "delete from t where id = 4; alter table t rename a2 to a3; insert into t values (35, 'x', 'y', 1, null)",
)


class Died(Exception):
    """The attempt's end: what MariaDB has not committed by then is gone, as after any other end."""


def died_behind_every_statement(replica: Replica) -> list[str]:
    """Run until a run needs no more DDL; the statements behind each of which one died, once."""
    died: list[str] = []

    def die(*given: object) -> None:
        """MariaDB has committed the statement."""
        statement = " ".join(str(given[2]).split())
        is_ddl = statement.split()[0].upper() in ("ALTER", "CREATE", "DROP", "RENAME")
        if is_ddl and "_cdc" not in statement and statement not in died:
            died.append(statement)
            raise Died(statement)

    event.listen(Engine, "after_cursor_execute", die)
    try:
        while True:
            try:
                replica.catch_up()
            except Died:
                continue
            return died
    finally:
        event.remove(Engine, "after_cursor_execute", die)


def mend(replica: Replica) -> None:
    """As a person does who reads why a table is parked."""
    with replica.running() as running:
        running.wait_live()
        table = running.table("public.t")
        assert table
        if table.state == "parked":
            assert "which is there already" in table.reason
            assert table.mend == "`cdc resync public.t` copies it anew"
            resync(running, "public.t")


@pytest.mark.parametrize(("dropped", "at_once"), [("drop", False), ("null", True)])
def test_the_line_dies_behind_every_statement(
    database: Database, tmp_path: Path, mariadb: MariaDB, dropped: str, at_once: bool
) -> None:
    """`at_once`: the catalog is ahead of what is streamed, so it is in doubt what became of a column."""
    replica = Replica(database, tmp_path)
    replica.settings["warehouses.local"] = {
        **{"kind": "sqlalchemy", "url": mariadb.url, "lock_timeout": 10, "dropped_columns": dropped}
    }
    database.execute(TABLE + ROWS)
    died = died_behind_every_statement(replica)
    assert len(died) == 2, "the schema's and the table's own creation"
    if at_once:
        for change in CHANGES:
            database.execute(change)
        assert len(died_behind_every_statement(replica)) >= 5
        mend(replica)
    else:
        died = []
        for change in CHANGES:
            database.execute(change)
            died += died_behind_every_statement(replica)
            mend(replica)
        told = " ".join(died)
        for renamed in ("a TO a2", "c TO c2", "a2 TO a3"):
            assert f"RENAME COLUMN {renamed}" in told
        assert ("DROP COLUMN d" in told) == (dropped == "drop")
        assert "ADD COLUMN e" in told
    replica.assert_equal("public.t", "public.second")
