"""Where a DuckDB database may be: in a file, in memory, or at MotherDuck's (here: what DuckDB is asked to open)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb as driver
import pytest

from cdc.config_file import load
from cdc.config_show import effective
from cdc.errors import ConfigError
from connectors import duckdb

TOKEN = "a-token-of-motherduck"
TOML = """
[source]
dsn = ""
[warehouses.cloud]
kind = "duckdb"
path = "md:shop"
{}
"""


class Refused(driver.Error):
    """Ends an opening."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What DuckDB was asked to open."""
    asked: list[tuple[Any, ...]] = []

    def connect(*arguments: Any, **named: Any) -> None:
        asked.append((*arguments, named))
        raise Refused("no such database")

    monkeypatch.setattr(driver, "connect", connect)
    return asked


def cloud(tmp_path: Path, more: str = "", **environ: str) -> Any:
    file = tmp_path / "config.toml"
    file.write_text(TOML.format(more))
    return load(file, environ)


def test_motherduck_is_opened_with_its_token_and_without_what_is_for_files(
    tmp_path: Path, given: list[tuple[Any, ...]]
) -> None:
    config = cloud(tmp_path, 'token = "${MD}"\nmemory_limit = "1GB"', MD=TOKEN)
    settings = config.warehouses["cloud"]
    [check] = duckdb.preflight(settings)
    assert check.state == "fail"
    assert "no such database" in check.detail
    assert given == [
        ("md:shop", {"config": {"memory_limit": "1GB", "threads": 2, "motherduck_token": TOKEN}})
    ]
    assert duckdb.exists(settings), "nothing local says that it is not"
    assert TOKEN not in str(effective(config)) + duckdb.describe(settings)


def test_without_a_token_motherduck_looks_for_its_own(tmp_path: Path, given: list[tuple[Any, ...]]) -> None:
    duckdb.preflight(cloud(tmp_path).warehouses["cloud"])
    assert given == [("md:shop", {"config": {"memory_limit": "256MB", "threads": 2}})]


def test_motherduck_is_asked_directly(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"asked directly.*duckdb md:shop"):
        duckdb.query(
            cloud(tmp_path).warehouses["cloud"], "select 1", warehouse=None, seconds=1, gone=lambda: False
        )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('read_copy = "x"', "read_copy"),
        ('tables = {}\n[warehouses.b]\nkind = "duckdb"\npath = "x"\ntoken = "x"', "is MotherDuck's"),
        ('tables = {}\n[warehouses.b]\nkind = "duckdb"\npath = "md:x?motherduck_token=y"', "not into `path`"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        cloud(tmp_path, more)


def test_a_database_in_memory_is_not_there_before_it_is_opened() -> None:
    settings = duckdb.Settings(path=":memory:")
    assert not duckdb.exists(settings)
    [check] = duckdb.preflight(settings)
    assert check.state == "ok"
    assert "copied again at every start" in check.detail
    with pytest.raises(Exception, match="in the memory of `cdc run`"):
        duckdb.query(settings, "select 1", warehouse=None, seconds=1, gone=lambda: False)
