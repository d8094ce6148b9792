"""Snowflake: rows by a stage and one MERGE per table and batch. Importing this imports no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.snowflake.settings import Settings

if TYPE_CHECKING:
    from cdc.check import Check
    from connectors.snowflake.warehouse import SnowflakeWarehouse

__all__ = ["REQUIRES", "Settings", "connect", "describe", "exists", "preflight"]

REQUIRES = ("snowflake", "sqlalchemy", "pyarrow")


def connect(settings: Settings, name: str) -> SnowflakeWarehouse:
    """Log in. TargetUnavailable if Snowflake cannot be reached; TargetError if it cannot be used."""
    from connectors.snowflake.warehouse import SnowflakeWarehouse

    return SnowflakeWarehouse(settings, name)


def describe(settings: Settings) -> str:
    """The target in a few words."""
    return f"Snowflake {settings.account}/{settings.database}"


def exists(settings: Settings) -> bool:
    """There is always an account to look at, once it is named."""
    return bool(settings.account)


def preflight(settings: Settings) -> list[Check]:
    """What can be found wrong with the account without changing it."""
    from connectors.snowflake.opening import check

    return check(settings)
