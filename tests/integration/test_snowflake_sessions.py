"""Snowflake's sessions: they cannot be had, they get lost, the process dies; before, in and after a batch that brings DDL."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cdc.errors import TargetError, TargetUnavailable
from cdc.events import UNSENT
from cdc.fold import Merge, Patch
from cdc.merge import RenameColumn
from cdc.schema import Column, Table
from cdc.testing.targets import BODY, ID, KEYED, NOTE, TEXT, checkpoint, put, row
from connectors import snowflake
from connectors.snowflake.opening import check
from connectors.snowflake.session import Session
from connectors.snowflake.warehouse import SnowflakeWarehouse
from connectors.sql import qualified
from tests.fixtures.snowflake import Account


def opened(account: Account) -> SnowflakeWarehouse:
    return snowflake.connect(account.settings(), "snow")


def rows(account: Account, table: Table) -> list[Any]:
    return sorted(account.execute(f"SELECT * FROM {qualified(table.schema, table.name)}"))


def lose(account: Account, *sessions: Session) -> None:
    """The server forgets them."""
    for session in sessions:
        assert session._connection is not None
        connection = http.client.HTTPConnection("127.0.0.1", account.port)
        token = session._connection.rest.token
        connection.request(
            "POST", "/session?delete=true", headers={"Authorization": f'Snowflake Token="{token}"'}
        )
        assert connection.getresponse().status == 200
        connection.close()


def test_sessions_that_are_lost_between_batches_are_opened_again(snowflake_account: Account) -> None:
    warehouse = opened(snowflake_account)
    put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
    lose(snowflake_account, warehouse._session, warehouse._beside)
    put(warehouse, Merge(KEYED, upserts=[row("2", "c", "d")]), lsn=2)
    assert rows(snowflake_account, KEYED) == [(1, "a", "b"), (2, "c", "d")]
    warehouse.close()


def test_a_session_that_is_lost_in_a_batch_loses_the_batch_and_nothing_else(
    snowflake_account: Account,
) -> None:
    warehouse = opened(snowflake_account)
    put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
    second = Merge(KEYED, upserts=[row("2", "c", "d")])
    warehouse.evolve(KEYED)
    warehouse.apply(second)
    lose(snowflake_account, warehouse._session)
    with pytest.raises(TargetUnavailable):
        warehouse.commit(checkpoint(2))
    assert warehouse.state() == checkpoint(1)
    assert rows(snowflake_account, KEYED) == [(1, "a", "b")]
    put(warehouse, second, lsn=2)
    assert rows(snowflake_account, KEYED) == [(1, "a", "b"), (2, "c", "d")]
    warehouse.close()


@pytest.mark.parametrize(
    ("wrong", "why", "hint"),
    [
        ({"password": "rain"}, "password is wrong", "correct user and password"),
        ({"role": "NOBODY"}, "Role 'NOBODY'", "docs/connectors.md"),
        ({"warehouse": "CLOSED"}, "The requested warehouse", "docs/connectors.md"),
        ({"database": "GONE"}, "The requested database", "docs/connectors.md"),
    ],
)
def test_who_may_not_log_in_is_told_why(
    snowflake_account: Account, wrong: dict[str, str], why: str, hint: str
) -> None:
    settings = replace_settings(snowflake_account, **wrong)
    with pytest.raises(TargetError) as caught:
        snowflake.connect(settings, "snow")
    assert not isinstance(caught.value, TargetUnavailable)
    assert why in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)
    assert "rain" not in str(caught.value)
    [result] = check(settings)
    assert (result.state, result.fix) == ("fail", caught.value.hint)


def test_a_host_that_does_not_answer_may_do_so_later(snowflake_account: Account) -> None:
    settings = replace_settings(snowflake_account, port=1, connect_timeout=1.0)
    with pytest.raises(TargetUnavailable) as caught:
        snowflake.connect(settings, "snow")
    assert "network" in caught.value.hint
    assert "\n" not in str(caught.value)


def replace_settings(account: Account, **wrong: Any) -> snowflake.Settings:
    return msgspec.structs.replace(account.settings(), **wrong)


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_before(account: Account, number: int) -> Iterator[None]:
    """Before the statement of this number, over all sessions, of those that change something; the service ends them."""
    run, count, used = Session._run, iter(range(number)), set[Session]()

    def counted(session: Session, *statement: Any) -> Any:
        used.add(session)
        if not statement[0].startswith("SELECT") and next(count, None) is None:
            raise Killed
        return run(session, *statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_run", counted)
        try:
            yield
        except Killed:
            opened = [session for session in used if session._connection is not None]
            lose(account, *opened)
            for session in opened:
                session.close()  # the connector's threads
            raise


def batch(warehouse: SnowflakeWarehouse, table: Table, lsn: int) -> None:
    """What its target has not applied yet: rows, a column renamed, rows, a new column, and rows that have it."""
    if warehouse.state() != checkpoint(lsn):
        renamed = replace(table, columns=(ID, replace(NOTE, name="said"), BODY))
        wider = replace(renamed, columns=(*renamed.columns, Column("added", TEXT, missing=b"it's")))
        warehouse.evolve(table)
        warehouse.apply(Merge(table, upserts=[row("2", "c", "d")], deletes=[(b"3",)]))
        warehouse.alter(renamed, [RenameColumn("note", "said")])
        put(
            warehouse,
            Merge(renamed, upserts=[row("5", "k", "l")]),
            Merge(
                wider, upserts=[row("4", "g", "h", "i")], patches=[Patch((b"1", b"z", UNSENT, b"y"), (b"1",))]
            ),
            lsn=lsn,
        )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_before_any_statement_of_a_batch_with_ddl_it_ends_equal(snowflake_account: Account) -> None:
    other, warehouse = Session(snowflake_account.settings()), opened(snowflake_account)
    number, killed = 0, True
    while killed:
        table, lsn = replace(KEYED, name=f"killed_{number}"), number + 1
        for statement in warehouse.catalog.evolve(table):
            other.run(statement)
        target = qualified(table.schema, table.name)
        other.run(f"INSERT INTO {target} VALUES (1, 'a', 'b'), (3, 'e', 'f')")
        try:
            with killed_before(snowflake_account, number):
                batch(warehouse, table, lsn)
            killed = False
        except Killed:
            warehouse = opened(snowflake_account)
            batch(warehouse, table, lsn)
        result = other.run(f"SELECT * FROM {target}")
        assert [each.name for each in result.description] == ["id", "said", "body", "added"], number
        expected = [(1, "z", "b", "y"), (2, "c", "d", "it's"), (4, "g", "h", "i"), (5, "k", "l", "it's")]
        assert sorted(result.fetchall()) == expected, number
        assert warehouse.state() == checkpoint(lsn)
        number += 1
    assert number > 20
    warehouse.close()
    other.close()
