"""PostgreSQL as a warehouse: the source's own types, rows by COPY. Importing this imports no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.postgres.settings import Settings

if TYPE_CHECKING:
    from cdc.check import Check
    from connectors.postgres.warehouse import PostgresWarehouse

__all__ = ["REQUIRES", "Settings", "connect", "describe", "exists", "preflight"]

REQUIRES = ("psycopg", "sqlalchemy")
CLIENT = "psql"  # to look at the tables with


def connect(settings: Settings, name: str) -> PostgresWarehouse:
    """Open a session. TargetUnavailable if the server cannot be reached now; TargetError if it cannot be used."""
    from connectors.postgres.warehouse import PostgresWarehouse

    return PostgresWarehouse(settings, name)


def describe(settings: Settings) -> str:
    """The target in a few words."""
    from connectors.postgres.opening import where

    return f"PostgreSQL {where(settings)}"


def exists(settings: Settings) -> bool:
    """Whether the server answers, and a warehouse has been there."""
    from connectors.postgres.opening import has_marks

    return has_marks(settings)


def preflight(settings: Settings) -> list[Check]:
    """What can be found wrong with server, database and role without changing anything."""
    from connectors.postgres.checking import check

    return check(settings)
