"""From PostgreSQL into Snowflake's protocol by the whole line, compared row by row; and killed on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import tenacity

from cdc.errors import TargetUnavailable
from tests.fixtures.line import Replica, are_live, eventually
from tests.fixtures.postgres import Database
from tests.fixtures.snowflake import Account
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill


@pytest.fixture
def replica(database: Database, snowflake_account: Account, tmp_path: Path) -> Replica:
    replica = Replica(database, tmp_path)
    settings = msgspec.structs.asdict(snowflake_account.settings(max_delay=0.2))
    names = (
        "account",
        "user",
        "authenticator",
        "password",
        "database",
        "protocol",
        "host",
        "port",
        "time_travel",
    )
    replica.settings["warehouses.local"] = {"kind": "snowflake", **{name: settings[name] for name in names}}
    replica.settings["warehouses.local"]["max_delay"] = 0.2
    return replica


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_whatever_clients_do_and_kill_9(replica: Replica) -> None:
    db = replica.database
    db.execute(SCHEMA)
    fill(db, 50)
    writer = Writer(db, 21)
    replica.listen()
    with replica.process() as daemon:
        eventually(lambda: daemon.poll() is not None or are_live(replica.status()), "it is live")
        for _ in range(60):
            writer.transaction()
        daemon.kill()
        daemon.wait()
    db.execute(
        "alter table keyed add column late text default 'it''s \\'; insert into keyed (id, late) values (9999, 'x')"
    )
    for _ in range(20):
        writer.transaction()
    writer.close()
    supervised(replica.catch_up)
    replica.assert_equal(*TABLES)
    for command in ("check", "verify"):
        with replica.process(command) as process:
            told = process.communicate()
            assert process.returncode == 0, told


def supervised(work: Callable[[], None]) -> None:
    """Tried again while the transaction of the daemon that was killed is in the way, as a supervisor would."""
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TargetUnavailable),
        stop=tenacity.stop_after_delay(60),
        reraise=True,
    ):
        with attempt:
            work()
