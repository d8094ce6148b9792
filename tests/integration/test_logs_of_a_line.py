"""What a daemon logs while it copies, streams, fails and goes on: no value of a row and no password, at any level."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from urllib.parse import urlsplit

from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database

SECRET_VALUE = "hunter2-in-a-row"


def test_no_value_of_a_row_and_no_password_is_logged(database: Database, tmp_path: Path) -> None:
    database.execute(
        f"create table item (id int primary key, note text); insert into item values (1, '{SECRET_VALUE}')"
    )
    replica = Replica(database, tmp_path, http={"token": "hunter2-token"})
    replica.listen()
    replica.settings["log"] = {"level": "debug", "format": "json"}
    errors = tmp_path / "log"
    with errors.open("w") as log, replica.process(stderr=log) as process:
        eventually(lambda: (s := replica.status()) and s.tables and s.tables[0].state == "live", "it is live")
        database.execute(
            f"update item set note = note || '{SECRET_VALUE}'; insert into item values (2, '{SECRET_VALUE}')"
        )
        database.execute("alter table item add more int")
        database.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s",
            database.name,
        )
        database.execute(f"update item set more = 7, note = '{SECRET_VALUE}!'")
        eventually(lambda: (s := replica.status()) and s.tables[0].updates >= 3, "all is applied")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    text = errors.read_text()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert {"batch", "streaming", "line.failed", "cdc.stopped"} <= set(events)
    password = urlsplit(database.dsn).password or ""
    for secret in (SECRET_VALUE, password, "hunter2"):
        assert secret
        assert secret not in text
