"""A table that gets another name while it is followed: under the new one it is another table, and nothing is lost."""

from __future__ import annotations

import duckdb

from tests.fixtures.line import Replica, eventually, replica

__all__ = ["replica"]


def test_a_renamed_table_is_another_and_the_old_one_stays_as_it_was(replica: Replica) -> None:
    database = replica.database
    replica.settings["snapshot"]["discover_interval"] = 0.5
    database.execute("create table item (id int primary key, note text)")
    database.execute("insert into item select n, 'first' from generate_series(1, 100) n")
    with replica.running() as running:
        running.wait_live()
        database.execute(
            "insert into item values (101, 'before'); update item set note = 'changed' where id = 1"
        )
        database.execute(
            "begin; insert into item values (102, 'in the same transaction'); alter table item rename to renamed;"
            " insert into renamed values (103, 'under the new name'); delete from renamed where id = 2; commit"
        )
        database.execute("update renamed set note = 'afterwards' where id = 3")
        eventually(lambda: running.errors or running.table("public.renamed"))
        running.wait_live()
        database.execute("insert into renamed values (104, 'streamed')")
        report = running.daemon.verify(["public.renamed"])
        assert report.equal, report
    replica.assert_equal("public.renamed")
    with duckdb.connect(str(replica.target), read_only=True) as connection:
        old = dict(connection.execute("select id, note from public.item").fetchall())
    assert old[1] == "changed"
    assert {101, 102} <= old.keys()
    assert 2 in old, "what came under the new name is not the old one's"
    assert not {103, 104} & old.keys()


def test_a_table_made_anew_under_the_old_name_is_followed_too(replica: Replica) -> None:
    database = replica.database
    replica.settings["snapshot"]["discover_interval"] = 0.5
    database.execute("create table item (id int primary key, note text); insert into item values (1, 'old')")
    with replica.running() as running:
        running.wait_live()
        database.execute(
            "begin; alter table item rename to renamed; create table item (id int primary key, other int);"
            " insert into item values (1, 10); insert into renamed values (2, 'renamed'); commit"
        )
        database.execute("insert into item values (2, 20); update renamed set note = 'later' where id = 1")
        eventually(lambda: running.errors or running.table("public.renamed"))
        eventually(lambda: running.errors or running.daemon.verify().equal)
    replica.assert_equal()


def test_and_while_nothing_runs(replica: Replica) -> None:
    """What the stream still has of the table that had the name before is not the new one's."""
    database = replica.database
    database.execute("create table item (id int primary key, note text); insert into item values (1, 'old')")
    replica.catch_up()
    database.execute(
        "begin; insert into item values (2, 'before'); alter table item rename to renamed;"
        " insert into renamed values (3, 'renamed'); create table item (id int primary key, other int);"
        " insert into item values (1, 10); commit"
    )
    replica.assert_equal("public.item", "public.renamed")
    database.execute("update item set other = 20; update renamed set note = 'later'")
    replica.assert_equal("public.item", "public.renamed")
