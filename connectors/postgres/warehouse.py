"""PostgreSQL as a warehouse: texts read by the server's own input functions, in one transaction with the marks.

    BEGIN                              at the first merge after a commit
    UPDATE … FROM unnest(arrays)       partial rows
    DELETE … USING unnest(keys)        deletes, and what COPY replaces
    INSERT … ON CONFLICT, or COPY      whole rows
    UPDATE _cdc.marks                  at a checkpoint: compared with what was known, and set
    COMMIT

An error rolls all of it back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from cdc.errors import CdcError
from cdc.fold import Key, Merge
from cdc.interfaces import Alteration, Checkpoint, View
from cdc.marks import overtaken
from cdc.schema import Table
from connectors.postgres import catalog, failures, opening
from connectors.postgres.merging import Merger
from connectors.postgres.naming import Naming
from connectors.postgres.refusal import find_refused
from connectors.postgres.settings import Settings
from connectors.postgres.sql import Plan
from connectors.sql.marks import Compiled, Marks

OPEN, CREATE, APPLY, COMMIT, READ = (
    "the tables of marks cannot be made",
    "the table cannot be created or altered",
    "rows cannot be applied",
    "the commit failed",
    "marks cannot be read",
)


class PostgresWarehouse:
    """Implements `cdc.interfaces.Warehouse`; `name` is that of its table in config.toml."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._where = opening.where(settings)
        self._open = False
        self._plans: dict[str, Plan] = {}
        self._compiled = Compiled(PGDialect_psycopg())  # type: ignore[no-untyped-call]
        self.connection = opening.connect(settings)
        try:
            self._marks = Marks(self._execute, schema=settings.metadata_schema, where=self._where)
            self._merger = Merger(self.connection, settings)
            with self._transaction(OPEN, self._where):
                self._create_marks()
                self._marks.read()
                self._end("commit")
        except BaseException:
            self.close()
            raise

    def state(self) -> Checkpoint:
        if not self._open:
            try:
                self._marks.read()
            except psycopg.Error as error:
                raise failures.classify(error, what=READ, where=self._where) from error
        return self._marks.state

    def evolve(self, table: Table) -> None:
        known = self._plans.get(table.full_name)
        if known is not None and (known.table is table or known.table.fingerprint == table.fingerprint):
            return
        self._add_labels(table)
        with self._transaction(CREATE, table.full_name):
            self._plans[table.full_name] = catalog.evolve(
                self.connection, self._merger.statements, table, self._settings
            )

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None:
        self._plans.pop(table.full_name, None)
        with self._transaction(CREATE, table.full_name):
            catalog.alter(self.connection, self._merger.statements, table, alterations)

    def apply(self, merge: Merge) -> Sequence[Key]:
        plan = self._plans[merge.table.full_name]
        if merge.take is not None:
            self._plans.pop(merge.take.full_name, None)
        with self._transaction(APPLY, merge.table.full_name, plan, merge):
            if merge.take is not None:
                catalog.check_taken(self._merger.statements, merge.table, merge.take)
            if merge.truncate and not plan.unique:
                self._merger.truncate(plan)
                del self._plans[merge.table.full_name]
                self.evolve(merge.table)
                plan = self._plans[merge.table.full_name]
            return self._merger.apply(plan, merge)

    def commit(self, checkpoint: Checkpoint) -> None:
        with self._transaction(COMMIT, self._where):
            try:
                self._marks.write(checkpoint)
            except psycopg.errors.UniqueViolation as error:
                raise overtaken(", ".join(checkpoint.marks), self._where) from error
            self._end("commit")
            self._marks.written()

    def forget(self) -> None:
        with self._transaction(COMMIT, self._where):
            self._marks.forget()
            self._end("commit")
            self._marks.written()

    def rollback(self) -> None:
        if self._open:
            self._abort()

    def view(self) -> View:
        from connectors.postgres.view import PostgresView

        return PostgresView(opening.connect(self._settings), self._settings)

    def close(self) -> None:
        self.connection.close()  # which rolls back

    def _create_marks(self) -> None:
        """Nothing is created that is there: a role that may not create may write."""
        schema = self._settings.metadata_schema
        query = "select to_regclass(format('%I.controls', $1::text)) is not null"
        found = self.connection.execute(query, [schema]).fetchone()
        if found and not found[0]:
            self.connection.execute("select pg_advisory_xact_lock($1)", [catalog.DDL_LOCK])
        self._marks.create(exists=bool(found and found[0]))

    def _add_labels(self, table: Table) -> None:
        """New labels of enums are used only after a commit of their own: by another session, as this one's is open."""
        naming = Naming(self.connection, self._settings)
        for name, labels in naming.enums(table):
            if naming.lacks_labels(name, labels):
                with opening.connect(self._settings) as other:
                    Naming(other, self._settings).add_labels(name, labels)

    def _execute(self, statement: Executable, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        sql, parameters = self._compiled(statement, values)
        return psycopg.Cursor(self.connection).execute(
            sql.encode(), parameters or None, prepare=bool(parameters)
        )

    @contextmanager
    def _transaction(
        self, what: str, where: str, plan: Plan | None = None, merge: Merge | None = None
    ) -> Iterator[None]:
        """Go on with the open transaction or begin one; an error ends it, and is told in our words."""
        try:
            if not self._open:
                self.connection.execute(b"begin isolation level read committed")
                self._open = True
            yield
        except psycopg.Error as error:
            self._abort()
            raise self._explained(error, what, where, plan, merge) from failures.cause(error)
        except BaseException:
            self._abort()
            raise

    def _explained(
        self, error: psycopg.Error, what: str, where: str, plan: Plan | None, merge: Merge | None
    ) -> CdcError:
        if plan is not None and merge is not None and failures.is_about_a_value(error):
            with contextlib.suppress(psycopg.Error):
                if found := find_refused(self.connection, plan, merge, self._name, error):
                    return found
        return failures.classify(error, what=what, where=where)

    def _end(self, how: str) -> None:
        self.connection.execute(how.encode())
        self._open = False

    def _abort(self) -> None:
        """Roll back and forget: tables that were made are gone, and a commit may have failed after it was done."""
        self._plans.clear()
        self._open = False
        with contextlib.suppress(psycopg.Error):
            self.connection.execute(b"rollback")
