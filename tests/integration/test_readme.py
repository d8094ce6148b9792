"""README.md, followed to the letter by somebody who is new here."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cdc.cli import COMMANDS
from tests.fixtures.cli import Cli
from tests.fixtures.postgres import Database

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def statements(role: str) -> list[str]:
    """The SQL, for a role of this name; the server is logical already."""
    (block,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    sql = re.sub(r"--.*", "", block).replace("…", "s3cret")
    first, *others = [each.strip() for each in sql.split(";") if each.strip()]
    assert first == "alter system set wal_level = logical"
    return [re.sub(r"\b(role|to) cdc\b", rf"\1 {role}", each) for each in others]


def test_the_first_steps(database: Database, tmp_path: Path) -> None:
    role = f"new_at_{database.name}"
    database.execute("create table orders (id int primary key); insert into orders values (1), (2)")
    for statement in statements(role):
        database.execute(statement)
    place = urlsplit(database.dsn)
    dsn = f"postgresql://{role}:s3cret@{place.hostname}:{place.port}{place.path}"
    cli = Cli(tmp_path, {"CDC_SOURCE__SLOT": database.name, "CDC_HTTP__LISTEN": ""})
    cli("init", "--dsn", dsn)
    assert "ready for `cdc run`" in cli("check").out
    cli("snapshot")
    assert [(table["name"], table["state"]) for table in cli.status()["tables"]] == [
        ("public.orders", "live")
    ]
    assert cli("verify", "--json").json["tables"][0]["target_rows"] == 2
    dropped = cli("drop", "--yes").out
    assert f"dropped slot {database.name}" in dropped
    assert "publication cdc stays: cdc did not make it" in dropped
    assert database.query("select pubname from pg_publication") == [("cdc",)]


@pytest.mark.parametrize(
    "document", ["README.md", "docs/operations.md", "docs/connectors.md", "docs/events.md"]
)
def test_every_command_that_is_named_is_one(document: str) -> None:
    named = set(re.findall(r"`cdc ([a-z]+)", (ROOT / document).read_text()))
    named |= set(re.findall(r"^cdc ([a-z]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named
    assert named <= {command.__name__ for command in COMMANDS}
