"""Makes engines whose sessions refuse rather than alter, and finds out beforehand why they would not open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from cdc.check import Check
from cdc.errors import ConfigError, TargetError
from cdc.secret import hide_passwords
from connectors.sqlalchemy import failures
from connectors.sqlalchemy.settings import Settings

WHAT = "the database cannot be opened"
# Nothing is cut, rounded or made up; backslashes mean what drivers take them for.
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"


def url_of(settings: Settings) -> URL:
    """ConfigError if it is none, or names no database that lasts."""
    try:
        url = make_url(settings.url)
    except exc.ArgumentError:
        raise ConfigError(
            "this is no URL of SQLAlchemy's",
            where="[warehouses.…] url",
            hint="for example sqlite:////data/copy.db or mariadb+pymysql://cdc:${PASSWORD}@db/",
        ) from None
    if url.get_backend_name() == "sqlite" and (url.database or ":memory:") == ":memory:":
        raise ConfigError(
            "a database in memory is gone with the process, and its position with it",
            where="[warehouses.…] url",
            hint="name a file: sqlite:////data/copy.db",
        )
    return url


def open_engine(settings: Settings, *, writes: bool = True) -> Engine:
    """An engine without connections yet. One that only reads keeps the picture that its transaction begins with."""
    url = url_of(settings)
    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    backend = url.get_backend_name()
    if backend in ("mysql", "mariadb"):
        options["isolation_level"] = "READ COMMITTED" if writes else "REPEATABLE READ"
    elif backend not in ("sqlite", "oracle"):
        options["isolation_level"] = "READ COMMITTED" if writes else "SERIALIZABLE"
    try:
        engine = sqlalchemy.create_engine(url, **options)
    except exc.NoSuchModuleError:
        raise ConfigError(
            f"SQLAlchemy knows no database {url.drivername!r}",
            where="[warehouses.…] url",
            hint="install the package of that dialect, or correct the URL",
        ) from None
    except ImportError as error:
        raise ConfigError(
            f"the driver {error.name} of {url.drivername!r} is not installed",
            where="[warehouses.…] url",
            hint=f"pip install {error.name}",
        ) from None
    if backend == "sqlite":
        _prepare_sqlite(engine, settings, writes)
    elif backend in ("mysql", "mariadb"):
        _prepare_mysql(engine, settings)
    return engine


def _prepare_sqlite(engine: Engine, settings: Settings, writes: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, and DDL is part of them
        connection.execute(f"PRAGMA busy_timeout = {settings.lock_timeout * 1000}")
        if writes:
            connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not stop each other
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begun(connection: sqlalchemy.Connection) -> None:
        reads = not writes or connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_mysql(engine: Engine, settings: Settings) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        seconds = settings.lock_timeout
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00'")
            cursor.execute(f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")


@contextmanager
def explained(what: str, where: str) -> Iterator[None]:
    """SQLAlchemy's errors in our words."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise failures.classify(error, what=what, where=where) from failures.cause(error)


def is_there(settings: Settings) -> bool:
    """Whether there is a file; of a server, whether a daemon would look."""
    try:
        url = url_of(settings)
    except ConfigError:
        return False
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def check(settings: Settings) -> list[Check]:
    """Connect, and ask the server what its rules are."""
    name = hide_passwords(settings.url)
    try:
        url = url_of(settings)
        if url.get_backend_name() == "sqlite":
            return [_check_file(name, Path(url.database or ""))]
        engine = open_engine(settings, writes=False)
        try:
            with explained(WHAT, name), engine.connect() as connection:
                version = ".".join(map(str, connection.dialect.server_version_info or ()))
                checks = [Check(name, "ok", f"{connection.dialect.name} {version}")]
                if engine.dialect.name in ("mysql", "mariadb"):
                    checks += _check_mysql(name, connection)
                return checks
        finally:
            engine.dispose()
    except (ConfigError, TargetError) as error:
        return [Check(name, "fail", f"{error.what}: {error.why}" if error.why else error.what, error.hint)]


def _check_mysql(name: str, connection: sqlalchemy.Connection) -> list[Check]:
    [(packet, lower)] = connection.exec_driver_sql(
        "SELECT @@max_allowed_packet, @@lower_case_table_names"
    ).fetchall()
    found = []
    if packet < 64 << 20:
        detail = f"max_allowed_packet is {packet >> 20} MB: larger rows are refused"
        found.append(
            Check(f"{name}: largest row", "warn", detail, "SET GLOBAL max_allowed_packet = 1073741824")
        )
    if lower:
        detail = f"lower_case_table_names is {lower}: tables whose names differ only by case are refused"
        found.append(Check(f"{name}: names", "warn", detail))
    return found


def _check_file(name: str, path: Path) -> Check:
    if not path.exists():
        if not path.absolute().parent.is_dir():
            return Check(
                name,
                "fail",
                f"the folder {path.absolute().parent} does not exist",
                f"mkdir -p {path.absolute().parent}",
            )
        return Check(name, "ok", "will be created")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        return Check(
            name, "fail", f"it cannot be used: {error}", "move it away, or correct the URL or its permissions"
        )
    return Check(name, "ok", f"{path.stat().st_size / 1e6:.1f} MB")
