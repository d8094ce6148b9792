"""Where DDL ends transactions, a process is killed around every alteration of a batch: in the end nothing shows it.

No column of an older name is left, and nothing is copied: what comes again is written as the target has the table by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from cdc.errors import TargetUnavailable
from cdc.testing.targets import checkpoint
from connectors import sqlalchemy
from connectors.sql.redo import Redo
from tests.fixtures.altered import BATCHES, BEFORE, Step, do, found, wanted
from tests.fixtures.mariadb import MariaDB

LASTING = re.compile(r"\s*(ALTER|CREATE|DROP)|.*`controls`", re.DOTALL)


class Killed(BaseException):
    """The process ends here; what the server has of its transaction is gone with it."""


@contextmanager
def killed_before(number: int) -> Iterator[list[str]]:
    """Before the statement of this number of those after which others see something else, and commits; gives those before."""
    done: list[str] = []

    def last(what: str) -> None:
        if len(done) == number:
            raise Killed
        done.append(what)

    def statement(*given: Any) -> None:
        if LASTING.match(given[2]) and not given[2].startswith("SELECT"):
            last(given[2])

    def commit(_: object) -> None:
        last("COMMIT")

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", commit)
    try:
        yield done
    finally:
        event.remove(Engine, "before_cursor_execute", statement)
        event.remove(Engine, "commit", commit)


def attempt(settings: sqlalchemy.Settings, steps: Sequence[Step], number: int = -1) -> list[str]:
    """A process that does what is not committed; what it has written before it was killed."""
    with closing(sqlalchemy.connect(settings, "killed")) as warehouse, killed_before(number) as done:
        if warehouse.state() != checkpoint(2):
            with suppress(Killed):
                do(warehouse, steps, 2)
    return done


def compare(mariadb: MariaDB, steps: Sequence[Step], why: object) -> None:
    with create_engine(mariadb.url).connect() as connection:

        def query(table: str) -> Any:
            result = connection.exec_driver_sql(f"SELECT * FROM `public`.`{table}`")
            return list(result.keys()), [tuple(each) for each in result]

        assert found(query) == wanted(steps), why
        notes = connection.exec_driver_sql("SELECT `key` FROM `_cdc`.`controls`")
        assert not notes.fetchall(), why


def begun(mariadb: MariaDB) -> sqlalchemy.Settings:
    """The target with what was there before."""
    mariadb.execute("DROP DATABASE IF EXISTS `public`", "DROP DATABASE IF EXISTS `_cdc`")
    settings = sqlalchemy.Settings(url=f"{mariadb.url}?ssl_disabled=true", lock_timeout=5)
    with closing(sqlalchemy.connect(settings, "killed")) as warehouse:
        do(warehouse, BEFORE, 1)
    return settings


@pytest.mark.parametrize("batch", BATCHES)
def test_killed_once_and_again(mariadb: MariaDB, batch: str) -> None:
    steps = BATCHES[batch]
    number, killed = 0, True
    while killed:
        settings = begun(mariadb)
        killed = len(attempt(settings, steps, number)) == number
        again = len(attempt(settings, steps, number * 3 % 5))
        attempt(settings, steps)
        compare(mariadb, steps, (number, again))
        number += 1
    assert number > 3


@pytest.mark.parametrize("batch", BATCHES)
def test_a_transaction_too_large_to_be_done_again_begins_again_and_ends(
    mariadb: MariaDB, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Redo.__init__, "__defaults__", (0,))
    settings, steps, attempts = begun(mariadb), BATCHES[batch], 0
    with closing(sqlalchemy.connect(settings, "large")) as warehouse:
        while warehouse.state() != checkpoint(2):
            attempts += 1
            assert attempts < 9, "it never ends"
            with suppress(TargetUnavailable):
                do(warehouse, steps, 2)
    assert attempts > 1
    compare(mariadb, steps, attempts)
