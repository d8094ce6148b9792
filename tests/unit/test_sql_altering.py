"""Which alterations are still to be done: those that find what they alter, also after a crash between two of them."""

from __future__ import annotations

import pytest

from cdc.errors import ColumnRefused
from cdc.merge import DropColumn, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, LogicalType, Table
from connectors.sql import ascii_lower
from connectors.sql.altering import still_to_do

TABLE = Table("public", "t", (Column("id", LogicalType("int8")),))
STEPS = [RenameColumn("a", "b"), RenameColumn("c", "d"), DropColumn("e")]


@pytest.mark.parametrize(
    ("present", "left"),
    [
        (["id", "a", "c", "e"], STEPS),
        (["id", "b", "c", "e"], STEPS[1:]),
        (["id", "b", "d", "e"], STEPS[2:]),
        (["id", "b", "d"], []),
        ([], []),
    ],
)
def test_what_is_done_is_left_out(present: list[str], left: list[object]) -> None:
    assert list(still_to_do(TABLE, present, STEPS)) == left


def test_a_name_that_another_column_has_is_refused() -> None:
    with pytest.raises(ColumnRefused, match="a cannot be renamed to b") as raised:
        list(still_to_do(TABLE, ["a", "b"], STEPS))
    assert raised.value.column == "b"
    assert list(still_to_do(TABLE, ["a", "B"], STEPS[:1])) == STEPS[:1]
    with pytest.raises(ColumnRefused):
        list(still_to_do(TABLE, ["a", "B"], STEPS[:1], ascii_lower))
    assert list(still_to_do(TABLE, ["a"], [RenameColumn("a", "A")], ascii_lower)) == [RenameColumn("a", "A")]


def test_a_table_is_dropped_once() -> None:
    assert list(still_to_do(TABLE, ["a"], [DropTable(), DropTable(), DropColumn("a")])) == [DropTable()]
    assert list(still_to_do(TABLE, [], [DropTable()])) == []


def test_a_default_is_dropped_where_there_is_one_under_its_name_of_then() -> None:
    drop, rename = DropDefault("a"), RenameColumn("a", "b")
    assert list(still_to_do(TABLE, ["a", "c"], [drop, drop, DropDefault("c")], defaults=["a"])) == [drop]
    assert list(still_to_do(TABLE, [], [drop], defaults=["a"])) == []
    after = [rename, drop, DropDefault("b")]
    assert list(still_to_do(TABLE, ["a"], after, defaults=["a"])) == [rename, DropDefault("b")]
