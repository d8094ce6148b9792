"""Where DDL ends transactions, the line dies behind each statement of it: it goes on from there, and the ends are equal.

Nothing is copied anew for that, and no column of an older name is left (see also test_sqlalchemy_killed.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from cdc.fold import Merge
from connectors.sqlalchemy.warehouse import SQLWarehouse
from tests.fixtures.line import Replica
from tests.fixtures.mariadb import MariaDB
from tests.fixtures.postgres import Database

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


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of which chunks are applied."""
    apply, found = SQLWarehouse.apply, []

    def noted(self: SQLWarehouse, merge: Merge) -> object:
        found.extend([merge.table.full_name] if merge.chunk is not None else [])
        return apply(self, merge)

    monkeypatch.setattr(SQLWarehouse, "apply", noted)
    return found


@pytest.mark.parametrize(("dropped", "at_once"), [("drop", False), ("null", True)])
def test_the_line_dies_behind_every_statement(
    database: Database, tmp_path: Path, mariadb: MariaDB, copied: list[str], dropped: str, at_once: bool
) -> None:
    """`at_once`: the catalog is ahead of what is streamed, so it is in doubt what became of a column."""
    replica = Replica(database, tmp_path)
    replica.settings["warehouses.local"] = {
        **{"kind": "sqlalchemy", "url": mariadb.url, "lock_timeout": 10, "dropped_columns": dropped}
    }
    database.execute(TABLE + ROWS)
    died = died_behind_every_statement(replica)
    assert len(died) == 2, "the schema's and the table's own creation"
    copied.clear()
    if at_once:
        for change in CHANGES:
            database.execute(change)
        assert len(died_behind_every_statement(replica)) >= 5
    else:
        died = []
        for change in CHANGES:
            database.execute(change)
            died += died_behind_every_statement(replica)
        told = " ".join(died)
        for renamed in ("a TO a2", "c TO c2", "a2 TO a3"):
            assert f"RENAME COLUMN {renamed}" in told
        assert ("DROP COLUMN d" in told) == (dropped == "drop")
        assert "ADD COLUMN e" in told
        assert set(copied) == {"public.second"}
        columns = {name for name, *_ in mariadb.execute("SHOW COLUMNS FROM `public`.t")}
        assert columns == {"id", "a3", "b", "c2", "e"} | ({"d"} if dropped == "null" else set())
    replica.assert_equal("public.t", "public.second")
