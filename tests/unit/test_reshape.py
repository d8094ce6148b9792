"""What is known of a table's columns beside what the catalog says of them by now."""

from __future__ import annotations

import pytest

from cdc.reshape import Made, numbered
from cdc.schema import Column, LogicalType, Table

KNOWN = Made(oid=1, files="", versions="", columns={"id": 1, "v": 2, "x": 3}, keyed=True)


def shape(*columns: tuple[str, int], catalog: tuple[int, ...] = (1, 2, -3)) -> Table:
    kind = LogicalType("text")
    return Table(
        "s", "t", tuple(Column(name, kind, attnum=number) for name, number in columns), oid=1, catalog=catalog
    )


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        (shape(("id", 1), ("v", 0)), [1, 2]),  # it is called w by now, and x was dropped
        (shape(("id", 1), ("x", 0)), [1, 0]),  # dropped: another column may have had the name since
        (shape(("id", 1), ("other", 0)), [1, 0]),
        (shape(("id", 1), ("w", 2), ("v", 0)), [1, 2, 0]),  # a later one of that name
        (shape(("id", 1), ("u", 0), ("v", 0)), [1, 0, 0]),  # either may be it
    ],
)
def test_a_name_of_the_past_is_of_the_column_that_every_shape_has(table: Table, numbers: list[int]) -> None:
    assert [column.attnum for column in numbered(KNOWN, table).columns] == numbers
