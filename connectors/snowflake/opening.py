"""Logs in, by whichever way the settings say, and finds out beforehand why that would fail."""

from __future__ import annotations

import logging
from typing import Any

import snowflake.connector
from snowflake.connector import SnowflakeConnection, errors

from cdc.check import Check
from cdc.errors import ConfigError, TargetError
from connectors.snowflake import failures
from connectors.snowflake.credentials import credentials
from connectors.snowflake.settings import Settings

WHAT = "Snowflake cannot be used"
# The stream's times are in UTC; identifiers mean what they say.
SESSION: dict[str, str | int | bool] = {
    "TIMEZONE": "UTC",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "ABORT_DETACHED_QUERY": True,
    "BINARY_INPUT_FORMAT": "HEX",
    "DATE_INPUT_FORMAT": "AUTO",  # which takes ISO 8601, whatever the account prefers
    "TIME_INPUT_FORMAT": "AUTO",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "TIMESTAMP_NTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF6",  # of casts to text, as `types` reads times
}

logging.getLogger("snowflake.connector").setLevel(
    logging.CRITICAL
)  # what it logs before it raises is told by us


def open_session(settings: Settings) -> SnowflakeConnection:
    """A session in autocommit mode, which is kept alive while nothing is done."""
    try:
        return snowflake.connector.connect(**arguments(settings))
    except (errors.Error, OSError) as error:
        raise failures.classify_log_in(error, what=WHAT, where=settings.account) from error


def arguments(settings: Settings) -> dict[str, Any]:
    """What the connector is called with; ConfigError if something is missing for the way to log in."""
    known: dict[str, Any] = {
        "account": settings.account,
        "user": settings.user,
        "database": settings.database,
        "schema": settings.schema,
        "warehouse": settings.warehouse or None,
        "role": settings.role or None,
        "host": settings.host or None,
        "port": settings.port,
        "protocol": settings.protocol,
        "autocommit": True,
        "application": "cdc",
        "client_session_keep_alive": True,
        "validate_default_parameters": True,  # says at once if the database or the virtual warehouse is not there
        "login_timeout": int(settings.connect_timeout),
        "network_timeout": int(settings.network_timeout),
        "session_parameters": {
            **SESSION,
            "QUERY_TAG": settings.query_tag,
            "STATEMENT_TIMEOUT_IN_SECONDS": int(settings.statement_timeout),
            **settings.session,
        },
        **credentials(settings),
    }
    return {name: value for name, value in known.items() if value is not None}


def check(settings: Settings) -> list[Check]:
    """Log in and look around."""
    name = f"Snowflake {settings.account}"
    try:
        with open_session(settings) as session, session.cursor() as cursor:
            try:
                cursor.execute("SELECT CURRENT_VERSION()")
            except errors.Error as error:
                raise failures.classify(error, what=WHAT, where=settings.account) from error
            [(version,)] = cursor.fetchall()
            role, warehouse = session.role, session.warehouse
    except (ConfigError, TargetError) as error:
        return [Check(name, "fail", f"{error.what}: {error.why}" if error.why else error.what, error.hint)]
    checks = [Check(name, "ok", f"version {version}, role {role}")]
    if not warehouse:
        fix = f"name one by warehouse, or ALTER USER {settings.user} SET DEFAULT_WAREHOUSE = …"
        checks.append(Check(f"{name}: warehouse", "fail", "no virtual warehouse is chosen", fix))
    return checks
