"""Which column one of an older shape is, told by a catalog that is ahead of it: the right one or none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.schema import DEFAULT
from cdc.source.messages import RelationColumn, RelationMessage
from cdc.tables import ColumnFacts, TableFacts, build_table

INT4 = 23
CHANGES = st.lists(st.tuples(st.sampled_from(("rename", "add", "drop")), st.integers(0, 9)), max_size=6)


@given(st.integers(1, 5), CHANGES)
def test_a_number_is_that_of_the_column_or_none(width: int, changes: list[tuple[str, int]]) -> None:
    """Names are never given again here: of those that are, the catalog may tell the wrong one, and the table is copied anew."""
    now = {number: f"c{number}" for number in range(1, width + 1)}
    dropped: list[int] = []
    shapes = [dict(now)]
    for place, (what, which) in enumerate(changes):
        if what == "add":
            now[len(now) + len(dropped) + 1] = f"added{place}"
        elif now:
            number = sorted(now)[which % len(now)]
            if what == "rename":
                now[number] = f"renamed{place}"
            else:
                del now[number]
                dropped.append(number)
        shapes.append(dict(now))
    columns = tuple(ColumnFacts(name, number, INT4) for number, name in now.items())
    facts = TableFacts(9, "s", "t", columns=columns, dropped=tuple(sorted(dropped)))
    for shape in shapes:
        listed = tuple(RelationColumn(name, INT4, -1, key=False) for name in shape.values())
        table = build_table(RelationMessage(9, "s", "t", DEFAULT, listed), facts)
        for column, number in zip(table.columns, shape, strict=True):
            assert column.attnum in (number, 0)
            assert column.attnum or column.name != now.get(number)
