"""When a batch goes to Snowflake, as seen from there: by rows, by bytes, by age, whichever is first, and not before."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from connectors.snowflake import Settings
from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.postgres import Database
from tests.fixtures.snowflake import Account

LONG = 3600.0
BATCH = ("COPY", "MERGE", "COMMIT")


@pytest.fixture
def replica(database: Database, snowflake_account: Account, tmp_path: Path) -> Replica:
    settings = snowflake_account.settings()
    names = ("account", "user", "authenticator", "password", "database", "protocol", "host", "port")
    replica = Replica(database, tmp_path, source={"heartbeat_interval": 0.2, "flush_interval": 0.1})
    replica.settings["warehouses.local"] = {
        **{name: getattr(settings, name) for name in names},
        **{"kind": "snowflake", "time_travel": False, "max_delay": LONG},
    }
    database.execute("create table t (id serial primary key, body text)")
    return replica


def history(account: Account) -> list[str]:
    """What a batch of one table costs: COPY, MERGE and COMMIT, by their first words."""
    return [each.split()[0] for each in account.history(*BATCH)]


def settled(running: Running, account: Account) -> int:
    """How much of history there is once the tables are copied, and all of it is committed: who asks to compare need not wait."""
    running.wait_live()
    assert running.daemon.verify().equal
    return len(history(account))


def await_given(running: Running) -> None:
    """All that is committed now has been read, and nothing more comes."""
    begun = time.time()
    eventually(lambda: running.errors or (running.daemon.status().source.proved_at or 0.0) > begun)


@pytest.mark.parametrize(
    ("limit", "value", "insert"),
    [
        ("batch_rows", 40, "insert into t (body) values ('x')"),
        ("batch_bytes", 1 << 16, "insert into t (body) values (repeat('x', 1600))"),
    ],
)
def test_a_batch_is_full_by_rows_or_by_bytes(
    replica: Replica, snowflake_account: Account, limit: str, value: Any, insert: str
) -> None:
    """Forty transactions of one row each."""
    database = replica.database
    replica.settings["warehouses.local"][limit] = value
    with replica.running() as running:
        before = settled(running, snowflake_account)
        for _ in range(39):
            database.execute(insert)
        await_given(running)
        assert history(snowflake_account)[before:] == []
        database.execute(insert)
        eventually(lambda: running.errors or len(history(snowflake_account)) > before + 2)
        database.execute(insert)
        await_given(running)
        assert history(snowflake_account)[before:] == [*BATCH]
        assert len(snowflake_account.execute('SELECT "id" FROM "public"."t"')) == 40
    assert history(snowflake_account)[before:].count("COMMIT") == 2, "a clean end leaves nothing behind"
    replica.assert_equal()


def test_a_batch_is_old_enough_by_the_age_of_its_first_change(
    replica: Replica, snowflake_account: Account
) -> None:
    database = replica.database
    replica.settings["warehouses.local"]["max_delay"] = 2.0
    with replica.running() as running:
        before = settled(running, snowflake_account)
        begun = time.monotonic()
        for _ in range(3):
            database.execute("insert into t (body) values ('x')")
            await_given(running)
        eventually(lambda: running.errors or len(history(snowflake_account)) > before + 2)
        assert time.monotonic() - begun >= 2.0
        assert history(snowflake_account)[before:] == [*BATCH]


def test_whoever_wants_it_at_once_has_it_at_once(replica: Replica, snowflake_account: Account) -> None:
    replica.settings["warehouses.local"]["when_idle"] = "at_once"
    with replica.running() as running:
        before = settled(running, snowflake_account)
        replica.database.execute("insert into t (body) values ('x')")
        eventually(lambda: running.errors or "MERGE" in history(snowflake_account)[before:])


def test_by_default_a_batch_is_worth_what_it_costs() -> None:
    """A virtual warehouse that is woken is paid for by a minute at least."""
    settings = Settings(account="a", user="u", database="d")
    assert (settings.batch_rows, settings.batch_bytes, settings.max_delay) == (500_000, 128 << 20, 60.0)
    assert settings.patience == 60.0
