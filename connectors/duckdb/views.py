"""Views over Arrow columns, which statements read: registered once for each set of names and types, with a changing content.

To register each table of Arrow anew inside a transaction would keep all of them until its end.
"""

from __future__ import annotations

from typing import Any

from duckdb import DuckDBPyConnection

from connectors.duckdb.rows import Columns


class Current:
    """What a view reads."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self._nothing = rows.schema.empty_table()

    def release(self) -> None:
        """Let go of the content."""
        self.rows = self._nothing

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.rows.__arrow_c_stream__(requested_schema)


class Views:
    """Of one connection. `forget` after a rollback: a view that was registered in the transaction is gone with it."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._views: dict[tuple[Any, ...], tuple[str, Current]] = {}
        self._shown: list[tuple[str, Current]] = []  # of the merge at work

    def show(self, columns: Columns) -> str:
        """The name of a view over these columns."""
        table = columns.table()
        shape = tuple(zip(table.schema.names, map(str, table.schema.types), strict=True))
        if shape not in self._views:
            name = f"_cdc_rows_{len(self._views)}"
            self._views[shape] = (name, Current(table))
            self._connection.register(name, self._views[shape][1])
        name, current = self._views[shape]
        current.rows = table
        self._shown.append((name, current))
        return f"temp.main.{name}"

    def shown(self) -> list[tuple[str, list[str]]]:
        """The views of a merge that failed and was rolled back, made anew, with their columns."""
        for name, current in self._shown:
            self._connection.register(name, current)
        return [(f"temp.main.{name}", current.rows.schema.names) for name, current in self._shown]

    def release(self) -> None:
        """Let go of the rows of the last merge."""
        for _, current in self._shown:
            current.release()
        self._shown.clear()

    def forget(self) -> None:
        self._views.clear()

    def close(self) -> None:
        for name, _ in self._views.values():
            self._connection.unregister(name)
        self._views.clear()
