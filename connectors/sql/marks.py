"""Marks per partition and controls per key in two tables of the target, by SQLAlchemy Core: for any database that it speaks.

The statements are constant, so that a driver's own cursor can run them as well: `Compiled` makes text of them once. A mark is
moved by comparing and setting, so that of two appliers that commit at once the second finds nothing to set.

An LSN is kept as PostgreSQL writes it: a person can compare it, and it needs no unsigned number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Executable,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    select,
)
from sqlalchemy.dialects.mysql import LONGBLOB  # BLOB ends at 64 KB there
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateSchema, CreateTable
from sqlalchemy.types import TypeEngine

from cdc.errors import TargetError
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position, format_lsn, parse_lsn
from cdc.marks import check_overtaken, moved, overtaken
from connectors.sql.ahead import PREFIX

FORMAT = 1  # of these tables


class Cursor(Protocol):
    """What a statement gives: SQLAlchemy's results and the cursors of drivers are such."""

    @property
    def rowcount(self) -> int:
        """Rows that an update has found."""

    def fetchall(self) -> Sequence[Any]:
        """The rows of a query."""


class Execute(Protocol):
    """Runs a statement in the open transaction; `sqlalchemy.Connection.execute` is one."""

    def __call__(self, statement: Executable, values: Mapping[str, Any], /) -> Cursor: ...


class Compiled:
    """Text and parameters of constant statements, for drivers' own cursors."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[Executable, Any] = {}

    def __call__(self, statement: Executable, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The statement as text, and its parameters by name (for a dialect whose `paramstyle` has names)."""
        found = self._known.get(statement)
        if found is None:
            found = self._known[statement] = statement.compile(dialect=self._dialect)  # type: ignore[attr-defined]
        return str(found), dict(found.construct_params(values)) if found.params else {}


class Marks:
    """`state` is what was committed when it was last read or written.

    `notes` are control records of the connector's own, which no checkpoint tells of (see `connectors.sql.ahead`).
    `write` puts a checkpoint into the open transaction, `written` says that it was committed. `schema` None: the tables stand
    where unqualified names do, with `prefix`. `name` is the type of names, for databases whose text has lengths or collations.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        schema: str | None,
        prefix: str = "",
        where: str = "",
        name: TypeEngine[str] | None = None,
    ) -> None:
        self._execute = execute
        self._where = where
        self.state = Checkpoint()
        self.notes: dict[str, bytes] = {}
        self._writing = self.state
        data, text = MetaData(schema=schema), name or String(255)
        self._schema = schema
        self._format = Table(f"{prefix}format", data, Column("version", Integer, primary_key=True))
        self._marks = marks = Table(
            f"{prefix}marks",
            data,
            Column("partition", text, primary_key=True),
            Column("commit_lsn", String(17), nullable=False),
            Column("ordinal", BigInteger, nullable=False),
            Column("next_offset", BigInteger, nullable=False),
        )
        self._controls = controls = Table(
            f"{prefix}controls",
            data,
            Column("key", text, primary_key=True),
            Column("value", LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"), nullable=False),
        )
        numbers = ("commit_lsn", "ordinal", "next_offset")
        new: dict[str, Any] = {each: bindparam(f"new_{each}") for each in numbers}
        self._read_marks = select(marks)
        self._read_controls = select(controls)
        self._read_format = select(self._format)
        self._insert_mark = marks.insert().values(partition=bindparam("name"), **new)
        self._move_mark = marks.update().where(
            marks.c.partition == bindparam("name"),
            *(marks.c[each] == bindparam(f"old_{each}") for each in numbers),
        )
        self._move_mark = self._move_mark.values(**new)
        self._insert_control = controls.insert().values(key=bindparam("name"), value=bindparam("content"))
        self._update_control = (
            controls.update().where(controls.c.key == bindparam("name")).values(value=bindparam("content"))
        )
        self._delete_control = controls.delete().where(controls.c.key == bindparam("name"))

    def create(self, *, exists: bool = False) -> None:
        """Make the tables, unless they are there; TargetError if another version of cdc has made them.

        `exists`: they are known to be there, and who may not create anything is not to try.
        """
        if self._schema is not None and not exists:
            self._execute(CreateSchema(self._schema, if_not_exists=True), {})
        for table in () if exists else (self._format, self._marks, self._controls):
            self._execute(CreateTable(table, if_not_exists=True), {})
        versions = [version for (version,) in self._execute(self._read_format, {}).fetchall()]
        if not versions:
            self._execute(self._format.insert().values(version=bindparam("v")), {"v": FORMAT})
        elif versions != [FORMAT]:
            raise TargetError(
                f"its tables of marks have format {versions[0]}, and this version of cdc reads {FORMAT}",
                where=self._where,
                hint="use the version of cdc that wrote them, or a newer one",
            )

    def read(self) -> None:
        """Look up what is committed, by this applier or another."""
        controls = {key: bytes(value) for key, value in self._execute(self._read_controls, {}).fetchall()}
        self.notes = {key: controls.pop(key) for key in list(controls) if key.startswith(PREFIX)}
        self.state = self._writing = Checkpoint(self._stored(), controls)

    def write(self, checkpoint: Checkpoint) -> None:
        """Merge the checkpoint into what is kept; a mark never moves backward. Raises Overtaken.

        Inserting the first mark of a partition fails as the driver says if another applier has just done so.
        """
        marks, controls = dict(self.state.marks), dict(self.state.controls)
        moving = moved(checkpoint.marks, marks)
        if unmoved := checkpoint.marks.keys() - moving.keys():
            stored = {name: mark for name, mark in self._stored().items() if name in unmoved}
            check_overtaken(stored, marks, where=self._where)
        for name in sorted(moving):  # always in one order: two appliers never wait for each other
            self._move(name, marks.get(name), moving[name])
            marks[name] = moving[name]
        for key, value in sorted(checkpoint.controls.items()):
            if controls.get(key) != value:
                self._control(key, value, key in controls)
                controls[key] = value
        self._writing = Checkpoint(marks, controls)

    def note(self, notes: Mapping[str, bytes], execute: Execute | None = None) -> None:
        """Put these notes into the transaction that is open, here or in another session; empty ones are taken out."""
        for key, value in notes.items():
            if value:
                self._control(key, value, True, execute)
            else:
                (execute or self._execute)(self._delete_control, {"name": key})

    def forget(self) -> None:
        """Put into the open transaction that nothing is known any more."""
        for table in (self._marks, self._controls):
            self._execute(table.delete(), {})
        self._writing = Checkpoint()

    def written(self) -> None:
        """What was last put into a transaction is committed."""
        self.state = self._writing

    def _stored(self) -> dict[str, Mark]:
        rows = self._execute(self._read_marks, {}).fetchall()
        return {name: Mark(Position(parse_lsn(lsn), n), offset) for name, lsn, n, offset in rows}

    def _move(self, name: str, known: Mark | None, mark: Mark) -> None:
        values = {"name": name, **_numbers("new", mark)}
        if known is None:
            self._execute(self._insert_mark, values)
        elif self._execute(self._move_mark, {**values, **_numbers("old", known)}).rowcount != 1:
            raise overtaken(name, self._where)

    def _control(self, key: str, value: bytes, known: bool, execute: Execute | None = None) -> None:
        execute, values = execute or self._execute, {"name": key, "content": value}
        if not known or execute(self._update_control, values).rowcount == 0:
            execute(self._insert_control, values)


def _numbers(prefix: str, mark: Mark) -> dict[str, Any]:
    return {
        f"{prefix}_commit_lsn": format_lsn(mark.position.commit_lsn),
        f"{prefix}_ordinal": mark.position.ordinal,
        f"{prefix}_next_offset": mark.offset,
    }
