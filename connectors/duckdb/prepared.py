"""Runs the plans' statements. Those that come again and again are prepared.

Among a thousand tables a merge has few rows, and DuckDB takes a millisecond to parse and plan what is then done in a fifth of
that. A prepared INSERT from a view over Arrow is run as it was planned, until any table of the database is altered: then it is
planned each time, as is what was prepared in a transaction that altered one. So all is prepared anew after that. A DELETE with
a join is planned anew each time, and what costs there is the view: so the keys of a small merge go through a table of keys,
beside those of others, told apart by a number.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from connectors.duckdb.sql import Plan

KEPT = 4000  # prepared statements: the oldest gives way
SMALL = 2000  # keys that take the way through the table
IN_A_ROW = 50  # small merges, and they seem to be what there is
FULL = 20_000  # rows of past merges in it, which each DELETE looks at


class Statements:
    """For one connection. `forget` after a rollback: tables of keys, and views that statements read, may be gone."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._names: dict[str, str] = {}  # of what is prepared
        self._numbers = itertools.count()
        self._keys: dict[str, Keys] = {}
        self._altered = False

    def run(self, sql: str) -> list[Any]:
        return self._connection.execute(sql).fetchall()

    def run_often(self, sql: str) -> list[Any]:
        """The same, prepared."""
        if self._altered:
            return self.run(sql)
        name = self._names.get(sql)
        if name is None:
            if len(self._names) >= KEPT:
                oldest = next(iter(self._names))
                self.run(f"DEALLOCATE {self._names.pop(oldest)}")
            name = f"_cdc_{next(self._numbers)}"
            self.run(f"PREPARE {name} AS {sql}")
            self._names[sql] = name
        return self.run(f"EXECUTE {name}")

    def keys(self, plan: Plan) -> Keys:
        """The table of keys like this table's."""
        found = self._keys.get(plan.key_types)
        if found is None:
            found = Keys(f"temp.main._cdc_keys_{next(self._numbers)}", self)
            self.run(f"CREATE TEMP TABLE {found.name} (m INTEGER, {plan.key_types})")
            self._keys[plan.key_types] = found
        return found

    def altered(self) -> None:
        """A table of the database was made, altered or dropped in the open transaction."""
        self._let_go()
        self._altered = True

    def committed(self) -> None:
        self._altered = False

    def _let_go(self) -> None:
        for name in self._names.values():
            self.run(f"DEALLOCATE {name}")
        self._names.clear()

    def forget(self) -> None:
        with contextlib.suppress(duckdb.Error):  # where the database itself has failed, all of it is gone
            self._let_go()
            for keys in self._keys.values():
                self.run(f"DROP TABLE IF EXISTS {keys.name}")
        self._names.clear()
        self._keys.clear()
        self._altered = False


class Threads:
    """How many threads DuckDB uses: one while small merges follow each other, as to share these out costs more than they do."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._all = self._set = int(statements.run("SELECT current_setting('threads')")[0][0])
        self._small = 0

    def suit(self, rows: int) -> None:
        """For a merge of so many rows."""
        self._small = self._small + 1 if rows <= SMALL else 0
        wanted = 1 if self._small > IN_A_ROW else self._all
        if wanted != self._set:
            self._statements.run(f"SET threads = {wanted}")
            self._set = wanted


class Keys:
    """A table of keys. Numbers are never used again, so what a rollback leaves in it concerns nobody."""

    def __init__(self, name: str, statements: Statements) -> None:
        self.name = name
        self._statements = statements
        self._rows = 0
        self._number = 0

    def number(self, rows: int) -> int:
        """A number for so many keys that are to be put in."""
        if self._rows + rows > FULL:
            self._statements.run(f"TRUNCATE {self.name}")
            self._rows = 0
        self._rows += rows
        self._number += 1
        return self._number
