"""DuckDB as a warehouse: rows of Arrow text, cast in SQL, in one transaction with the marks.

    BEGIN                        at the first merge after a commit
    DELETE … USING keys          of upserts, completed partial rows and deletes; not where the table is known to be empty
    INSERT … SELECT casts        of upserts and completed partial rows
    UPDATE _cdc.marks            at a checkpoint
    COMMIT

An error rolls all of it back; what was known of the target is then forgotten with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
from duckdb import DuckDBPyConnection

from cdc.errors import CdcError, TargetUnavailable
from cdc.fold import Key, Merge
from cdc.interfaces import Alteration, Checkpoint, View
from cdc.marks import overtaken
from cdc.schema import Table
from connectors.duckdb import catalog, failures
from connectors.duckdb.asking import Queries
from connectors.duckdb.marks import Marks
from connectors.duckdb.merging import Merger
from connectors.duckdb.names import Names
from connectors.duckdb.opening import make_room
from connectors.duckdb.read_copy import ReadCopy
from connectors.duckdb.settings import Settings
from connectors.duckdb.sql import Plan
from connectors.sql.altering import check_moved

CREATE, APPLY, COMMIT = (
    "the table cannot be created or altered",
    "rows cannot be applied",
    "the commit failed",
)


class DuckDBWarehouse:
    """Implements `cdc.interfaces.Warehouse`; `name` is that of its table in config.toml."""

    def __init__(self, connection: DuckDBPyConnection, settings: Settings, name: str) -> None:
        self._connection = connection
        self._settings = settings
        self._name = name
        self._closed = self._open = False
        self.database: str = connection.execute("SELECT current_database()").fetchall()[0][0]
        self._marks = Marks(connection, self.database)
        alone = not settings.remote
        self._merger = Merger(connection, alone=alone)
        self._names = Names(connection, self.database, alone=alone, altering=self._merger.altered)
        self._plans: dict[str, Plan] = {}
        self._changed = False  # more than marks, since the last commit
        self._copy = ReadCopy(connection, self.database, settings) if settings.read_copy else None
        self.queries = Queries(connection)

    def state(self) -> Checkpoint:
        if not self._open:
            self._marks.read_again()
        return self._marks.state

    def evolve(self, table: Table) -> None:
        known = self._plans.get(table.full_name)
        if known is not None and (known.table is table or known.table.fingerprint == table.fingerprint):
            return
        with self._transaction(CREATE, table.full_name):
            plan = catalog.evolve(self._names, table, self._settings)
            self._merger.look(plan)
            self._plans[table.full_name] = plan
            make_room(self._connection, self._settings, len(self._plans))

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None:
        self._plans.pop(table.full_name, None)
        with self._transaction(CREATE, table.full_name):
            catalog.alter(self._names, table, alterations)

    def apply(self, merge: Merge) -> Sequence[Key]:
        plan = self._plans[merge.table.full_name]
        with self._transaction(APPLY, merge.table.full_name, plan):
            if merge.take is not None:
                taken = catalog.read_plan(self._names, merge.take, self._settings)
                if taken is not None:
                    check_moved(merge.table, plan.types, taken.types)
            missing = self._merger.apply(plan, merge)
        if merge.take is not None:
            self._plans.pop(merge.take.full_name, None)
            self._names.forget()
        return missing

    def commit(self, checkpoint: Checkpoint) -> None:
        with self._transaction(COMMIT, self._settings.path):
            try:
                self._marks.write(checkpoint)
            except (duckdb.TransactionException, duckdb.ConstraintException) as error:
                raise overtaken(", ".join(checkpoint.marks), self._settings.path) from error
            self._connection.execute("COMMIT")
            self._open = False
            self._marks.written()
            self._merger.committed()
        if self._copy is not None:
            self._copy.committed(changed=self._changed)
        self._changed = False

    def forget(self) -> None:
        with self._transaction(COMMIT, self._settings.path):
            self._marks.forget()
            self._connection.execute("COMMIT")
            self._open = False
            self._marks.written()
            self._merger.committed()

    def rollback(self) -> None:
        if self._open:
            self._abort()

    def view(self) -> View:
        from connectors.duckdb.view import DuckDBView

        return DuckDBView(self.cursor(), self.database, self._settings)

    def cursor(self) -> DuckDBPyConnection:
        """A second connection to the same database, which sees what is committed; for tests and views."""
        return self._connection.cursor()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.queries.close()
            if self._copy is not None:
                self._copy.close()
            with contextlib.suppress(duckdb.Error):
                self._rollback()
                self._merger.close()
            self._connection.close()

    @contextmanager
    def _transaction(self, what: str, where: str, plan: Plan | None = None) -> Iterator[None]:
        """Go on with the open transaction or begin one; an error ends it, and is told in our words."""
        try:
            if not self._open:
                self._connection.execute("BEGIN")
                self._open = True
            self._changed |= what != COMMIT
            yield
        except duckdb.Error as error:
            self._abort()
            raise self._explained(error, what, where, plan) from failures.cause(error)
        except BaseException:
            self._abort()
            raise
        finally:
            self._merger.release()

    def _explained(self, error: duckdb.Error, what: str, where: str, plan: Plan | None) -> CdcError:
        if plan is not None and failures.is_about_a_value(error):
            with contextlib.suppress(duckdb.Error):
                if found := failures.find_refused(self._connection, plan, self._merger.shown(), self._name):
                    return found
        if isinstance(error, duckdb.OutOfMemoryException) and self.queries.make_room():
            return TargetUnavailable(what, why="a query had taken the memory, and was ended", where=where)
        return failures.classify(error, what=what, path=self._settings.path, where=where)

    def _abort(self) -> None:
        """Roll back and forget. What is durable is read again: a commit may have failed after it was."""
        with contextlib.suppress(duckdb.Error):
            self._rollback()
        self._plans.clear()
        self._names.forget()
        self._merger.forget()
        with contextlib.suppress(duckdb.Error):
            self._marks.read_again()

    def _rollback(self) -> None:
        if self._open:
            self._open = False
            self._connection.execute("ROLLBACK")
