"""DuckDB, one file on this machine: the warehouse that needs no server. Importing this imports no driver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cdc.errors import ConfigError
from connectors.duckdb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdc.check import Check
    from cdc.query import Rows
    from connectors.duckdb.warehouse import DuckDBWarehouse

__all__ = ["REQUIRES", "Settings", "connect", "describe", "exists", "preflight", "query"]

REQUIRES = ("duckdb", "pyarrow")
IGNORES_CASE = True  # of names


def connect(settings: Settings, name: str) -> DuckDBWarehouse:
    """Open the file, or create it. TargetUnavailable if another process has it; TargetError if it cannot be used."""
    from connectors.duckdb.opening import open_file
    from connectors.duckdb.warehouse import DuckDBWarehouse

    return open_file(settings, lambda connection: DuckDBWarehouse(connection, settings, name))


def describe(settings: Settings) -> str:
    """The target in a few words."""
    return f"DuckDB {settings.path}"


def exists(settings: Settings) -> bool:
    """Whether there is a file, which what is remote is taken to be."""
    return settings.remote or (not settings.in_memory and Path(settings.path).exists())


def preflight(settings: Settings) -> list[Check]:
    """What can be found wrong with the file without changing it."""
    from connectors.duckdb.opening import check_file

    return check_file(settings)


def query(
    settings: Settings,
    sql: str,
    *,
    warehouse: DuckDBWarehouse | None,
    seconds: float,
    gone: Callable[[], bool],
) -> Rows:
    """Answer SQL that only looks, from the warehouse that this process has open, or (None) from the file that nobody has."""
    from connectors.duckdb.asking import ask_file
    from connectors.duckdb.opening import open_to_read

    if settings.remote:
        raise ConfigError("MotherDuck is asked directly", hint=f"duckdb {settings.path}")
    if warehouse is not None:
        return warehouse.queries.ask(sql, seconds, gone)
    return ask_file(open_to_read(settings), sql, seconds, gone)
