"""Opens connections to the source: ordinary (side) ones, and one in replication mode.

Wherever text of a value is made, in a walsender, a snapshot or a look-up, the session is set up the same:
then a value has one text. The settings travel in the connection's `options`, behind those of the user, and so
win over the role's and the database's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import conninfo

from cdc.config import SourceSettings
from cdc.errors import ConfigError, SourceError
from cdc.source.failures import explain, explain_connection

Connection: TypeAlias = psycopg.Connection[Any]
T = TypeVar("T")

SESSION = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",  # the shortest text that reads back as the same number
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "search_path": "pg_catalog",  # so that type names and defaults are printed with their schemas
    "quote_all_identifiers": "off",
    "row_security": "off",  # a policy raises an error, instead of hiding rows that the stream shows
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "5s",  # a snapshot that waits holds up the stream, and whoever queues behind it
}
NETWORK = {  # a silent network is noticed within a minute
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "fallback_application_name": "cdc",
}


def connect(settings: SourceSettings, *, autocommit: bool = True) -> Connection:
    """Open an ordinary connection."""
    return _open(settings, autocommit=autocommit)


def connect_replication(settings: SourceSettings) -> Connection:
    """Open a connection to a walsender of the database; it takes replication commands and simple queries."""
    return _open(settings, autocommit=True, replication="database")


def parameters(settings: SourceSettings) -> dict[str, Any]:
    """What is handed to libpq: the user's DSN with our session added. PG* variables fill in the rest."""
    try:
        given: dict[str, Any] = conninfo.conninfo_to_dict(settings.dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            "[source] dsn cannot be read", why=_without_dsn(str(error), settings.dsn)
        ) from error
    users = given.get("options") or os.environ.get("PGOPTIONS", "")
    ours = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    return {
        "connect_timeout": settings.connect_timeout,
        **NETWORK,
        **given,
        "client_encoding": "UTF8",
        "options": f"{users} {ours}".strip(),
    }


def where(settings: SourceSettings) -> str:
    """`host:port/database` for messages; no user, no password."""
    known = _effective(settings)
    hosts = (known.get("host") or known.get("hostaddr") or "localhost").split(",")
    ports = (known.get("port") or "5432").split(",")
    pairs = [f"{host}:{ports[min(number, len(ports) - 1)]}" for number, host in enumerate(hosts)]
    return f"{','.join(pairs)}/{known.get('dbname') or known.get('user', '')}"


def _open(settings: SourceSettings, *, autocommit: bool, **extra: str) -> Connection:
    given = {**parameters(settings), **extra}
    try:
        return psycopg.connect("", autocommit=autocommit, **given)
    except psycopg.Error as error:
        known = _effective(settings)
        user = known.get("user", "")
        raise explain_connection(
            error, where=where(settings), user=user, dbname=known.get("dbname") or user
        ) from error


def _effective(settings: SourceSettings) -> dict[str, str]:
    """The DSN's parameters over libpq's defaults, which include PG* variables."""
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.val is not None
    }
    given = {name: str(value) for name, value in parameters(settings).items() if value is not None}
    return {**defaults, **given}


def _without_dsn(text: str, dsn: str) -> str:
    """libpq quotes what it cannot parse, and that may hold the password."""
    return "it is neither a libpq connection string nor a URL" if '"' in text or dsn in text else text


class Side:
    """A side connection that is opened at first use, and again after it was lost. For one thread.

    `run` does a piece of work that may be repeated. An idle connection may have been cut long ago, and only
    its use shows it: so the work is tried once more on a fresh one.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    def run(self, what: str, work: Callable[[Connection], T]) -> T:
        """Do the work; its psycopg errors are raised as SourceError, `what` says what was attempted."""
        fresh = self._connection is None
        try:
            return work(self._get())
        except psycopg.Error as error:
            lost = self._connection is None or self._connection.closed
            self.close()
            if fresh or not lost:
                raise self._explained(error, what) from error
        try:
            return work(self._get())
        except psycopg.Error as error:
            self.close()
            raise self._explained(error, what) from error

    def close(self) -> None:
        """Let go of the connection; the next `run` opens another. May be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _get(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._settings)
        return self._connection

    def _explained(self, error: psycopg.Error, what: str) -> SourceError:
        return explain(error, what, where=where(self._settings))
