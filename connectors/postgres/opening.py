"""Opens sessions of the target, all set up the same: values are read and printed as the replication stream prints them."""

from __future__ import annotations

import contextlib
from typing import Any, TypeAlias

import psycopg
from psycopg import conninfo

from cdc.errors import ConfigError
from connectors.postgres import failures
from connectors.postgres.settings import Settings
from connectors.sql import literal

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

TEXTS = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "escape_string_warning": "off",
    "standard_conforming_strings": "on",
}
SAFE = {
    "idle_in_transaction_session_timeout": "0",  # the source may be slow in the middle of a large transaction
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",  # marks are compared and set in it
    # A statement's plan must not depend on statistics that a table just filled does not have yet.
    "plan_cache_mode": "force_generic_plan",
}
NETWORK = {  # a silent network is noticed within a minute
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
TEXT_ENCODING = "UTF8"


def connect(settings: Settings) -> Connection:
    """Open a session in autocommit mode. TargetUnavailable, TargetError, ConfigError."""
    try:
        connection = psycopg.connect(
            "", autocommit=True, cursor_factory=psycopg.RawCursor, **parameters(settings)
        )
    except psycopg.Error as error:
        raise failures.explain_connection(error, where=where(settings)) from error
    try:
        _set_up(connection, settings)
    except psycopg.Error as error:
        connection.close()
        raise failures.classify(error, what="the session cannot be set up", where=where(settings)) from error
    # What is prepared is `Statements`'; psycopg would deallocate that, too, after a rollback.
    connection.prepare_threshold = None
    return connection


def parameters(settings: Settings) -> dict[str, Any]:
    """What is handed to libpq; PG* variables fill in the rest."""
    try:
        given: dict[str, Any] = conninfo.conninfo_to_dict(settings.dsn)
    except psycopg.ProgrammingError:
        raise ConfigError(
            "dsn of a warehouse cannot be read",
            why="it is neither a libpq connection string nor a URL",
        ) from None
    return {
        "connect_timeout": settings.connect_timeout,
        **NETWORK,
        "application_name": settings.application_name,
        **given,
        "client_encoding": TEXT_ENCODING,
    }


def where(settings: Settings) -> str:
    """`host:port/database` for messages; no user, no password."""
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.val is not None
    }
    try:
        known = {
            **defaults,
            **{name: str(value) for name, value in parameters(settings).items() if value is not None},
        }
    except ConfigError:
        return "?"
    host = known.get("host") or known.get("hostaddr") or "localhost"
    return f"{host}:{known.get('port') or '5432'}/{known.get('dbname') or known.get('user', '')}"


def has_marks(settings: Settings) -> bool:
    """Whether the target can be reached and has the tables of marks. Never raises."""
    with contextlib.suppress(Exception), psycopg.connect("", **parameters(settings)) as connection:
        found = connection.execute(
            "select 1 from pg_catalog.pg_tables where schemaname = %s and tablename = 'marks'",
            [settings.metadata_schema],
        ).fetchone()
        return found is not None
    return False


def _set_up(connection: Connection, settings: Settings) -> None:
    """By SET, after everything else that may set them; poolers refuse settings in the start-up packet."""
    wanted = {
        **TEXTS,
        **SAFE,
        "statement_timeout": str(round(settings.statement_timeout * 1000)),
        "lock_timeout": str(round(settings.lock_timeout * 1000)),
        **settings.session,
    }
    if settings.triggers == "skip":
        wanted["session_replication_role"] = "replica"
    calls = ", ".join(
        f"set_config({literal(name)}, {literal(value)}, false)" for name, value in wanted.items()
    )
    connection.execute(f"select {calls}".encode())
    # What is acknowledged is confirmed to the source's slot: it must not be lost with the server's memory.
    connection.execute(
        b"select set_config(name, 'on', false) from pg_catalog.pg_settings"
        b" where name = 'synchronous_commit' and setting = 'off'"
    )
