"""The names of the target's tables and views, asked for once: to tell of one, DuckDB looks at the columns of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cdc.schema import Table
from connectors.sql import ascii_lower

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Place = tuple[str, str]  # schema and table


class Names:
    """As they are in the transaction that is open. `alone`: nobody else makes tables there, else they are asked for each time.

    `altering` is told of each statement that alters the database.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        database: str,
        *,
        alone: bool = True,
        altering: Callable[[], None] = lambda: None,
    ) -> None:
        self.connection = connection
        self.database = database
        self._alone = alone
        self._altering = altering
        self._known: dict[Place, Place] | None = None

    def find(self, table: Table) -> Place | None:
        """The names of what DuckDB takes for this table, which may be written otherwise."""
        if self._known is None or not self._alone:
            asked = "SELECT DISTINCT schema_name, table_name FROM duckdb_columns() WHERE database_name = $1"
            found = self.connection.execute(asked, [self.database]).fetchall()
            self._known = {_folded(schema, name): (schema, name) for schema, name in found}
        return self._known.get(_folded(table.schema, table.name))

    def alter(self, sql: str) -> None:
        """Run a statement that makes, alters or drops a table."""
        self._altering()
        self.connection.execute(sql).fetchall()

    def made(self, table: Table) -> None:
        """This table is there now."""
        if self._known is not None:
            self._known.setdefault(_folded(table.schema, table.name), (table.schema, table.name))

    def forget(self) -> None:
        """Tables were dropped, or what was done to them is undone."""
        self._known = None


def _folded(schema: str, name: str) -> Place:
    return ascii_lower(schema), ascii_lower(name)
