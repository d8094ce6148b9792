"""Any database as a warehouse: rows by executemany, in one transaction with the marks.

Where DDL takes part in transactions (SQLite, PostgreSQL), it is run in the one that is open. Elsewhere (MariaDB, and whatever is
not known) it would commit what is open, so it is run on a connection of its own; and where rows of the open transaction are in
that very table, these are taken back before and applied again after it (`connectors.sql.redo`). So rows and marks become durable
together, and DDL without either, which is harmless to repeat, or noted (`connectors.sql.ahead`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, exc

from cdc.fold import Key, Merge
from cdc.interfaces import Alteration, Checkpoint, View
from cdc.marks import overtaken
from cdc.schema import Table
from cdc.secret import hide_passwords
from connectors.sql import METADATA
from connectors.sql.ahead import Ahead
from connectors.sql.marks import Marks
from connectors.sql.redo import Redo
from connectors.sqlalchemy import failures
from connectors.sqlalchemy.catalog import Catalog
from connectors.sqlalchemy.family import family_of, marks_name
from connectors.sqlalchemy.merging import Merger
from connectors.sqlalchemy.opening import WHAT, explained, open_engine
from connectors.sqlalchemy.settings import Settings
from connectors.sqlalchemy.sql import Plan

CREATE, APPLY, COMMIT = (
    "the table cannot be created or altered",
    "rows cannot be applied",
    "the commit failed",
)


class SQLWarehouse:
    """Implements `cdc.interfaces.Warehouse`; `name` is that of its table in config.toml."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._where = hide_passwords(settings.url)
        self._engine = open_engine(settings)
        self._connection: Connection | None = None
        self._plans: dict[str, Plan] = {}
        self._redo, self._ahead = Redo(), Ahead()
        self._taken: list[Table] = []
        self._closed = self._begun = False
        with explained(WHAT, self._where):
            try:
                with self._engine.connect() as connection:
                    self.family = family_of(connection.dialect, settings.layout)
                self.catalog = Catalog(self.family, settings)
                flat = self.family.flat
                self._marks = Marks(
                    self._execute,
                    schema=None if flat else METADATA,
                    prefix=f"{METADATA}_" if flat else "",
                    where=self._where,
                    name=marks_name(self.family),
                )
                with self._transaction(WHAT, self._where) as connection:
                    self._marks.create()
                    self._read(connection)
                    self._end()
            except BaseException:
                self._engine.dispose()
                raise

    def state(self) -> Checkpoint:
        if not self._begun:
            with self._transaction(WHAT, self._where, reads=True) as connection:
                self._read(connection)
                connection.rollback()
                self._begun = False
        return self._marks.state

    def _read(self, connection: Connection) -> None:
        self._marks.read()
        self._ahead.load(self._marks.notes, partial(self.catalog.present, connection))

    def evolve(self, table: Table) -> None:
        table = self._ahead.reached(table)
        known = self._plans.get(table.full_name)
        if known is not None and (known.table is table or known.table.fingerprint == table.fingerprint):
            return
        with self._transaction(CREATE, table.full_name), self._beside() as connection:
            statements = self.catalog.evolve(connection, table)
            with self._without_rows(statements, table):
                _run(connection, statements)
            plan = self.catalog.plan(connection, table)
            assert plan is not None, "all columns are there"
            self._plans[table.full_name] = plan

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None:
        self._plans.pop(table.full_name, None)
        with self._transaction(CREATE, table.full_name), self._beside() as connection:
            wanted = partial(self.catalog.alter, connection, table)
            todo = self._ahead.still(table, alterations)
            with self._without_rows(wanted(todo), table):
                for each in todo:
                    if statements := wanted([each]):
                        if not self.family.transactional_ddl:
                            self._marks.note(self._ahead.note(table, each), connection.execute)
                        _run(connection, statements)
            self._ahead.passed(table, alterations)
            self._redo.altered(table, alterations)

    def apply(self, merge: Merge) -> Sequence[Key]:
        if self._ahead.begins_anew(merge):
            self.evolve(merge.table)
        given, merge = merge, self._ahead.merge(merge)
        plan = self._plans[merge.table.full_name]
        with self._transaction(APPLY, merge.table.full_name) as connection:
            null = self._settings.unrepresentable == "null"
            taken = self.catalog.plan(connection, merge.take) if merge.take else None
            missing = Merger(connection, plan, self._name, null).apply(merge, taken)
            if taken is not None:
                self._plans.pop(taken.table.full_name, None)
                self._drop(connection, taken.table)
        if not self.family.transactional_ddl:
            self._redo.add(given)
        return missing

    def commit(self, checkpoint: Checkpoint) -> None:
        with self._transaction(COMMIT, self._where):
            try:
                self._marks.write(checkpoint)
                self._marks.note(self._ahead.records())
            except exc.IntegrityError:
                raise overtaken(", ".join(checkpoint.marks), self._where) from None
            self._end()
            self._marks.written()
            self._ahead.committed()
        self._drop_taken()

    def forget(self) -> None:
        with self._transaction(COMMIT, self._where):
            self._marks.forget()
            self._end()
            self._marks.written()
            self._ahead.load({}, lambda _: ())

    def rollback(self) -> None:
        if self._begun:
            self._abort()

    def view(self) -> View:
        from connectors.sqlalchemy.view import SQLView

        return SQLView(open_engine(self._settings, writes=False), self.catalog, self._where)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._abort()
            self._engine.dispose()

    # Transactions.

    def _execute(self, statement: Executable, values: Mapping[str, Any]) -> CursorResult[Any]:
        assert self._connection is not None, "inside of a transaction"
        return self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self, what: str, where: str, *, reads: bool = False) -> Iterator[Connection]:
        """Go on with the open transaction or begin one; an error ends it, and is told in our words."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            if not self._begun:
                self._connection.execution_options(reads=reads).begin()
                self._begun = True
            yield self._connection
        except exc.SQLAlchemyError as error:
            self._abort()
            raise failures.classify(error, what=what, where=where) from failures.cause(error)
        except BaseException:
            self._abort()
            raise

    def _end(self) -> None:
        """Commit."""
        assert self._connection is not None
        self._connection.commit()
        self._begun = False
        self._redo.clear()

    def _abort(self) -> None:
        """Roll back and forget: a commit that failed may have happened all the same, so whoever goes on asks for `state`."""
        connection, self._connection = self._connection, None
        self._begun = False
        self._taken.clear()
        self._plans.clear()
        self._redo.clear()
        self._ahead.again()
        if connection is not None:
            for end in (connection.rollback, connection.close):
                with contextlib.suppress(exc.SQLAlchemyError):
                    end()

    @contextmanager
    def _beside(self) -> Iterator[Connection]:
        """The connection for DDL: that of the transaction, or another where DDL would end it."""
        assert self._connection is not None
        if self.family.transactional_ddl:
            yield self._connection
        else:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beside:
                yield beside

    def _drop(self, connection: Connection, table: Table) -> None:
        """A table whose rows were taken: at once, or after the commit, which until then it might have to be there for."""
        if self.family.transactional_ddl:
            connection.exec_driver_sql(self.catalog.drop(connection, table))
        else:
            self._taken.append(table)

    def _drop_taken(self) -> None:
        """What is left of it after a failure is empty, and used again."""
        taken, self._taken = self._taken, []
        if not taken:
            return
        with contextlib.suppress(exc.SQLAlchemyError), self._engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in taken:
                connection.exec_driver_sql(self.catalog.drop(connection, table))

    @contextmanager
    def _without_rows(self, wanted: Sequence[str], table: Table) -> Iterator[None]:
        """DDL is run inside of this. Rows of the open transaction are in its way only in the same table: they are done again."""
        redo = None
        if wanted and not self.family.transactional_ddl and self._redo.is_touched(table.full_name):
            redo, self._redo = self._redo, Redo()
            self._abort()
        yield
        if redo is not None:
            redo.again(self, table.full_name)


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
