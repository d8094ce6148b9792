"""What is known of a DuckDB target without asking must never be wrong: proved against a dict, over all that changes a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.events import UNSENT, Row
from cdc.interfaces import Checkpoint
from cdc.merge import Merge, Patch
from cdc.schema import Column, LogicalType, Table
from connectors.duckdb import Settings, connect
from connectors.duckdb.warehouse import DuckDBWarehouse

KINDS = {
    "one number": ("int8",),
    "two numbers": ("int4", "int2"),
    "text": ("text",),
    "mixed": ("text", "int8"),
}
NUMBER = st.integers(-1, 5)
CHANGE = st.sampled_from(["whole", "delete", "patch", "moved"])
MERGE = st.tuples(st.dictionaries(st.tuples(NUMBER, NUMBER), CHANGE, min_size=1, max_size=3), st.booleans())
STEP = MERGE | MERGE | st.sampled_from(["commit", "rollback", "alter", "wider", "narrower"])


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    warehouse = connect(Settings(path=":memory:"), "local")
    yield warehouse
    warehouse.close()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None)
@given(steps=st.lists(STEP, max_size=15))
def test_a_target_is_what_its_merges_say(warehouse: DuckDBWarehouse, kind: str, steps: list[Any]) -> None:
    types = KINDS[kind]
    key = tuple(range(len(types)))
    columns = (
        *(Column(f"k{n}", LogicalType(each)) for n, each in enumerate(types)),
        Column("v", LogicalType("text")),
    )
    table = Table("public", f"t_{len(types)}_{types[0]}", columns, primary_key=key, identity=key)
    wide = replace(table, columns=(*columns, Column("more", LogicalType("text"))))
    shape, turn = table, 0
    warehouse.evolve(table)
    warehouse.apply(Merge(table, truncate=True))
    warehouse.commit(Checkpoint())
    durable: dict[Row, bytes] = {}
    now: dict[Row, bytes] = {}
    for step in steps:
        if isinstance(step, tuple):
            turn += 1
            changes, truncate = step
            merge = _merge(shape, changes, turn, truncate=turn % 5 == 0 and truncate, now=now)
            warehouse.evolve(shape)
            assert not warehouse.apply(merge)
            if merge.truncate:
                now = {}
            _follow(merge, now, len(types))
        elif step == "commit":
            warehouse.commit(Checkpoint())
            durable = dict(now)
        elif step == "rollback":
            warehouse.rollback()
            now = dict(durable)
        elif step in ("wider", "narrower"):
            shape = wide if step == "wider" else table
        else:
            warehouse.alter(table, ())
            warehouse.evolve(shape)
    warehouse.commit(Checkpoint())
    names = ", ".join(column.name for column in columns)
    found = warehouse.cursor().execute(f"select {names} from public.{table.name}").fetchall()
    assert sorted(found) == sorted((*_values(types, k), v.decode()) for k, v in now.items())


def _values(types: tuple[str, ...], key: Row) -> list[object]:
    cells = [cell for cell in key if isinstance(cell, bytes)]
    return [cell.decode() if each == "text" else int(cell) for cell, each in zip(cells, types, strict=True)]


def _merge(
    shape: Table, changes: dict[tuple[int, int], str], turn: int, *, truncate: bool, now: dict[Row, bytes]
) -> Merge:
    """Of distinct keys; a partial row only where the target has its other half."""
    merge, width = Merge(shape, truncate=truncate), len(shape.key)
    there = {} if truncate else now
    numbers = {tuple(b"%d" % n for n in pair[:width]): what for pair, what in changes.items()}
    free = set(numbers)
    rest: tuple[bytes, ...] = (b"x",) * (len(shape.columns) - width - 1)
    for key, what in numbers.items():
        if key not in free:
            continue
        free.discard(key)
        value = b"%d" % turn
        if what == "delete":
            merge.deletes.append(key)
        elif what == "patch" and key in there:
            merge.patches.append(Patch((*key, UNSENT, *rest), key))
        elif what == "moved" and key in there and free:
            other = free.pop()
            merge.patches.append(Patch((*other, UNSENT, *rest), key))
            merge.deletes.append(key)
        else:
            merge.upserts.append((*key, value, *rest))
    return merge


def _follow(merge: Merge, now: dict[Row, bytes], width: int) -> None:
    before = dict(now)
    for gone in merge.deletes:
        now.pop(gone, None)
    for patch in merge.patches:
        now[tuple(patch.row[:width])] = before[patch.origin]
    for row in merge.upserts:
        cell = row[width]
        assert isinstance(cell, bytes)
        now[tuple(row[:width])] = cell
