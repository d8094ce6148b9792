"""Any database that SQLAlchemy speaks, by plain SQL. Importing this imports neither SQLAlchemy nor a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.sqlalchemy.settings import Settings

if TYPE_CHECKING:
    from cdc.check import Check
    from connectors.sqlalchemy.warehouse import SQLWarehouse

__all__ = ["REQUIRES", "Settings", "connect", "describe", "exists", "preflight"]

REQUIRES = ("sqlalchemy",)


def connect(settings: Settings, name: str) -> SQLWarehouse:
    """Open the database. TargetUnavailable if it cannot be reached; TargetError if it cannot be used."""
    from connectors.sqlalchemy.warehouse import SQLWarehouse

    return SQLWarehouse(settings, name)


def describe(settings: Settings) -> str:
    """The target in a few words."""
    from cdc.secret import hide_passwords

    return hide_passwords(settings.url)


def exists(settings: Settings) -> bool:
    """Whether there is a database to look at."""
    from connectors.sqlalchemy.opening import is_there

    return is_there(settings)


def preflight(settings: Settings) -> list[Check]:
    """What can be found wrong with the database without changing it."""
    from connectors.sqlalchemy.opening import check

    return check(settings)
