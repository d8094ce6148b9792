"""Marks and tables by SQLAlchemy Core, in a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import BigInteger, Connection, Text
from sqlalchemy.dialects import postgresql

from cdc.errors import Overtaken, TargetError
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.testing.targets import ID, KEYED, NOTE, PAIR
from connectors.sql.marks import Compiled, Marks
from connectors.sql.tables import Verbatim, add_column, create_table, describe, present


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'marks.db'}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def opened(connection: Connection) -> Marks:
    marks = Marks(connection.execute, schema=None, prefix="_cdc_", where="here")
    marks.create()
    marks.read()
    connection.commit()
    return marks


def commit(connection: Connection, marks: Marks, checkpoint: Checkpoint) -> None:
    marks.write(checkpoint)
    connection.commit()
    marks.written()


def test_what_is_written_is_read(connection: Connection) -> None:
    marks = opened(connection)
    commit(
        connection,
        marks,
        Checkpoint({"a": Mark(Position((1 << 64) - 1, 1 << 62), 9), "b": Mark()}, {"": b"\0"}),
    )
    commit(connection, marks, Checkpoint({"b": Mark(Position(3, 4))}, {"": b"\xff", "k": b""}))
    expected = Checkpoint(
        {"a": Mark(Position((1 << 64) - 1, 1 << 62), 9), "b": Mark(Position(3, 4))}, {"": b"\xff", "k": b""}
    )
    assert marks.state == expected
    assert opened(connection).state == expected


def test_what_was_rolled_back_is_not_known(connection: Connection) -> None:
    marks = opened(connection)
    marks.write(Checkpoint({"a": Mark(Position(1, 1))}, {"k": b"v"}))
    connection.rollback()
    assert marks.state == Checkpoint()
    marks.read()
    assert marks.state == Checkpoint()


def test_the_second_of_two_is_refused_and_a_mark_never_moves_backward(connection: Connection) -> None:
    commit(connection, opened(connection), Checkpoint({"a": Mark(Position(1, 1))}))
    first, second = opened(connection), opened(connection)
    commit(connection, first, Checkpoint({"a": Mark(Position(5, 1))}))
    for late in (Mark(Position(6, 1)), Mark(Position(1, 1))):
        with pytest.raises(Overtaken, match="mark of a has moved"):
            second.write(Checkpoint({"a": late}))
        connection.rollback()
    commit(connection, first, Checkpoint({"a": Mark(Position(4, 1))}))
    second.read()
    assert second.state == Checkpoint({"a": Mark(Position(5, 1))})


def test_another_format_is_refused(connection: Connection) -> None:
    opened(connection)
    connection.exec_driver_sql("update _cdc_format set version = 99")
    with pytest.raises(TargetError, match="have format 99"):
        opened(connection)


def test_statements_as_text_for_a_drivers_own_cursor() -> None:
    ran: list[tuple[str, dict[str, object]]] = []
    compiled = Compiled(postgresql.dialect())

    class Nothing:
        rowcount = 1

        def fetchall(self) -> list[tuple[object, ...]]:
            return []

    def execute(statement: sqlalchemy.Executable, values: object) -> Nothing:
        ran.append(compiled(statement, values))  # type: ignore[arg-type]
        return Nothing()

    marks = Marks(execute, schema="_cdc")
    marks.create()
    marks.write(Checkpoint({"a": Mark(Position(0x16B374D848, 2), 3)}))
    assert ran[0] == ("CREATE SCHEMA IF NOT EXISTS _cdc", {})
    values = {"name": "a", "new_commit_lsn": "16/B374D848", "new_ordinal": 2, "new_next_offset": 3}
    assert ran[-1][1] == values


def test_tables_are_made_altered_and_looked_at(connection: Connection) -> None:
    types = [BigInteger(), Text(), Verbatim("NUMERIC(7, 2)")]
    described = describe(KEYED, types, name='quo"te d', into=None)
    connection.execute(create_table(described))
    connection.execute(create_table(described))
    found = present(connection, 'quo"te d', None)
    assert [(name, each.nullable) for name, each in found.items()] == [
        ("id", False),
        ("note", True),
        ("body", True),
    ]
    assert str(found["body"].type) == "NUMERIC(7, 2)"
    assert present(connection, "none", None) == {}
    wider = describe(PAIR, [Text(), BigInteger(), Text()], name="t", into=None)
    assert [column.name for column in wider.primary_key.columns] == [ID.name, NOTE.name]
    altered = add_column(connection.dialect, described, "note")
    assert altered == 'ALTER TABLE "quo""te d" ADD COLUMN note TEXT'
