"""One session of Snowflake's: statements, transactions, uploads. What goes wrong is told in our words."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snowflake.connector import SnowflakeConnection, errors
from snowflake.connector.cursor import SnowflakeCursor
from sqlalchemy import Executable

from connectors.snowflake import failures
from connectors.snowflake.dialect import SnowflakeDialect
from connectors.snowflake.opening import open_session
from connectors.snowflake.settings import Settings
from connectors.sql import qualified
from connectors.sql.marks import Compiled


class Session:
    """Opened when it is first used, and again after it was lost. `begun`: a transaction is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: SnowflakeConnection | None = None
        self._compiled = Compiled(SnowflakeDialect())
        self.begun = False

    @contextmanager
    def explained(self, what: str, where: str) -> Iterator[None]:
        """The connector's errors in our words."""
        try:
            yield
        except errors.Error as error:
            raise failures.classify(error, what=what, where=where) from failures.cause(error)

    def run(self, sql: str, values: dict[str, Any] | None = None) -> SnowflakeCursor:
        """A statement; in a new session if the old one is gone and nothing was open in it."""
        try:
            return self._run(sql, values)
        except errors.Error as error:
            if not failures.is_over(error):
                raise
            begun = self.begun
            self.close()
            if begun:
                raise
            return self._run(sql, values)

    def _run(self, sql: str, values: dict[str, Any] | None) -> SnowflakeCursor:
        if self._connection is None:
            self._connection = open_session(self._settings)
        cursor = self._connection.cursor()
        cursor.execute(sql, values) if values else cursor.execute(sql)
        return cursor

    def execute(self, statement: Executable, values: Mapping[str, Any]) -> Any:
        """A statement of SQLAlchemy Core's."""
        return self.run(*self._compiled(statement, values))

    def begin(self) -> None:
        if not self.begun:
            self.run("BEGIN")
            self.begun = True

    def commit(self) -> None:
        self.run("COMMIT")
        self.begun = False

    def rollback(self) -> None:
        """Never raises: a session that does not answer is closed, which ends its transaction."""
        if self.begun:
            self.begun = False
            try:
                self.run("ROLLBACK")
            except errors.Error:
                self.close()

    def describe(self, sql: str) -> Sequence[Any] | None:
        """The columns of a query; None: a table of it is not there."""
        try:
            return self.run(sql).description
        except errors.ProgrammingError as error:
            if error.errno in failures.NO_SUCH_OBJECT:
                return None
            raise

    def has_schema(self, name: str) -> bool:
        asked = "SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = %(name)s"
        return bool(self.run(asked, {"name": name}).fetchall())

    @contextmanager
    def uploaded(self, stage: str) -> Iterator[tuple[Path, str]]:
        """A file to be written and where it will be; `put` it in between. Here and there it is gone afterwards."""
        name = f"{uuid.uuid4().hex}.parquet"
        with tempfile.TemporaryDirectory(prefix="cdc-snowflake-") as folder:
            yield Path(folder) / name, f"@{qualified(self._settings.metadata_schema, stage)}/{name}"

    def put(self, path: Path, place: str) -> None:
        folder = place.rpartition("/")[0]
        self.run(f"PUT 'file://{path}' {folder} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")

    def close(self) -> None:
        """May be called twice."""
        connection, self._connection = self._connection, None
        self.begun = False
        if connection is not None:
            with contextlib.suppress(errors.Error, OSError):
                connection.close()
