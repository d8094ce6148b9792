"""Snowflake as a warehouse: a file of rows by PUT, COPY INTO a transient table, one MERGE, in one transaction with the marks.

    BEGIN                     at the first merge after a commit
    PUT, COPY INTO stage      all rows of a table's merge, as text
    INSERT INTO aside         partial rows, completed from the target's, before anything changes
    MERGE INTO target         deletes and whole rows; and, where there are some, the completed ones
    DELETE FROM stage, aside
    UPDATE _cdc.marks         at a checkpoint
    COMMIT

DDL commits whatever is open. So it is run only when nothing is: if the transaction has rows by then, they are taken back, the
DDL is run, and they are applied again (`connectors.sql.redo`). A process that dies anywhere leaves either nothing of a batch or
all of it with its marks; and DDL beside, which is found done the next time, or noted (`connectors.sql.ahead`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from snowflake.connector import errors

from cdc.fold import Key, Merge
from cdc.interfaces import Alteration, Checkpoint, View
from cdc.marks import check_overtaken
from cdc.schema import Table
from connectors.snowflake.catalog import Catalog
from connectors.snowflake.merging import STAGE, Merger
from connectors.snowflake.opening import WHAT
from connectors.snowflake.session import Session
from connectors.snowflake.settings import Settings
from connectors.snowflake.sql import Plan
from connectors.sql import qualified
from connectors.sql.ahead import Ahead
from connectors.sql.marks import Marks
from connectors.sql.redo import Redo

CREATE, APPLY, COMMIT = (
    "the table cannot be created or altered",
    "rows cannot be applied",
    "the commit failed",
)


class SnowflakeWarehouse:
    """Implements `cdc.interfaces.Warehouse`; `name` is that of its table in config.toml."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._where = f"{settings.account}/{settings.database}"
        self._session, self._beside = Session(settings), Session(settings)
        self.catalog = Catalog(self._beside, settings)
        schema = settings.metadata_schema
        self._marks = Marks(self._session.execute, schema=schema, where=self._where)
        self._stored = Marks(self._beside.execute, schema=schema, where=self._where)
        self._plans: dict[str, Plan] = {}
        self._redo, self._ahead = Redo(), Ahead()
        self._taken: list[Table] = []
        try:
            with self._session.explained(WHAT, self._where):
                self._create(schema)
                self._read()
        except BaseException:
            self.close()
            raise

    def _create(self, schema: str) -> None:
        """Tables and stage of our own, unless they are there: who may not create anything is not to try."""
        exists = self._session.describe(f"SELECT * FROM {qualified(schema, 'controls')} LIMIT 0") is not None
        if not exists:  # the table of controls comes last
            for statement in self.catalog.schema(schema):
                self._session.run(statement)
            self._session.run(f"CREATE STAGE IF NOT EXISTS {qualified(schema, STAGE)}")
        self._marks.create(exists=exists)

    def state(self) -> Checkpoint:
        if not self._session.begun:
            with self._session.explained(WHAT, self._where):
                self._read()
        return self._marks.state

    def _read(self) -> None:
        self._marks.read()
        self._ahead.load(self._marks.notes, self.catalog.present)

    def evolve(self, table: Table) -> None:
        table = self._ahead.reached(table)
        known = self._plans.get(table.full_name)
        if known is not None and (known.table is table or known.table.fingerprint == table.fingerprint):
            return
        with self._guarded(CREATE, table.full_name):
            statements = self.catalog.evolve(table)
            with self._without_rows(statements, table):
                self._run(statements)
                plan = self.catalog.plan(table)
                assert plan is not None, "all columns are there"
                self._run(plan.create if statements else ())
            if not statements and self._beside.describe(f"SELECT * FROM {plan.aside} LIMIT 0") is None:
                with self._without_rows(plan.create, table):
                    self._run(plan.create)
            self._plans[table.full_name] = plan

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None:
        self._plans.pop(table.full_name, None)
        with self._guarded(CREATE, table.full_name):
            todo = self._ahead.still(table, alterations)
            with self._without_rows(self.catalog.alter(table, todo), table):
                for each in todo:
                    if statements := self.catalog.alter(table, [each]):
                        self._marks.note(self._ahead.note(table, each))
                        self._run(statements)
            self._ahead.passed(table, alterations)
            self._redo.altered(table, alterations)

    def apply(self, merge: Merge) -> Sequence[Key]:
        if self._ahead.begins_anew(merge):
            self.evolve(merge.table)
        given, merge = merge, self._ahead.merge(merge)
        plan, null = self._plans[merge.table.full_name], self._settings.unrepresentable == "null"
        with self._guarded(APPLY, merge.table.full_name):
            self._session.begin()
            taken = self.catalog.plan(merge.take) if merge.take else None
            missing = Merger(self._session, plan, self._name, null).apply(merge, taken)
            if taken is not None:
                self._plans.pop(taken.table.full_name, None)
                self._taken.append(taken.table)
        self._redo.add(given)
        return missing

    def commit(self, checkpoint: Checkpoint) -> None:
        with self._guarded(COMMIT, self._where):
            self._check(checkpoint)
            self._session.begin()
            # One commits at a time: keys are not enforced, so an insert of a partition's first mark would meet nobody.
            self._session.run(
                f'UPDATE {qualified(self._settings.metadata_schema, "format")} SET "version" = "version"'
            )
            self._check(checkpoint)
            self._marks.write(checkpoint)
            self._marks.note(self._ahead.records())
            self._session.commit()
            self._redo.clear()
            self._marks.written()
            self._ahead.committed()
        self._drop_taken()

    def _check(self, checkpoint: Checkpoint) -> None:
        """Whose marks are ahead of what we know of them; asked by a session that sees what is committed by now."""
        self._stored.read()
        concerned = {
            name: mark for name, mark in self._stored.state.marks.items() if name in checkpoint.marks
        }
        check_overtaken(concerned, self._marks.state.marks, where=self._where)

    def _drop_taken(self) -> None:
        """Tables whose rows were taken are empty by now. What is left of them after a failure is used again."""
        taken, self._taken = self._taken, []
        with contextlib.suppress(errors.Error):
            for table in taken:
                self._session.run(f"DROP TABLE IF EXISTS {qualified(table.schema, table.name)}")

    def forget(self) -> None:
        with self._guarded(COMMIT, self._where):
            self._session.begin()
            self._marks.forget()
            self._session.commit()
            self._marks.written()
            self._ahead.load({}, self.catalog.present)

    def rollback(self) -> None:
        if self._session.begun:
            self._abort()

    def view(self) -> View:
        from connectors.snowflake.view import SnowflakeView

        return SnowflakeView(Session(self._settings), self._settings)

    def close(self) -> None:
        self._abort()
        self._session.close()
        self._beside.close()

    @contextmanager
    def _guarded(self, what: str, where: str) -> Iterator[None]:
        """An error takes back what is open, and is told in our words."""
        try:
            with self._session.explained(what, where):
                yield
        except BaseException:
            self._abort()
            raise

    @contextmanager
    def _without_rows(self, wanted: Sequence[str], table: Table) -> Iterator[None]:
        """DDL is run inside of this, where no transaction is open if any is wanted; what was open is done again."""
        again = self._redo if wanted and self._session.begun else None
        if again is not None:
            self._redo = Redo()
            self._abort()
        yield
        if again is not None:
            again.again(self, table.full_name)

    def _run(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._session.run(statement)

    def _abort(self) -> None:
        """A commit that failed may have happened all the same: whoever goes on asks for `state`."""
        self._session.rollback()
        self._plans.clear()
        self._redo.clear()
        self._ahead.again()
        self._taken.clear()
