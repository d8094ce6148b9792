"""Tables from relation and catalog: the catalog may be ahead, and must never make a key that was not there."""

from __future__ import annotations

import pytest

from cdc.pgtypes import TypeFact
from cdc.schema import DEFAULT, FULL, INDEX, NOTHING, LogicalType
from cdc.source.messages import RelationColumn, RelationMessage
from cdc.tables import TRANSITIONS, ColumnFacts, TableFacts, advance, build_table, relation_from_facts

INT4, TEXT, MOOD = 23, 25, 20001


def relation(columns: str, key: str = "", identity: str = DEFAULT) -> RelationMessage:
    listed = tuple(RelationColumn(name, INT4, -1, key=name in key) for name in columns)
    return RelationMessage(9, "public", "orders", identity, listed)


def facts(columns: str, primary_key: str = "", **more: object) -> TableFacts:
    listed = tuple(ColumnFacts(name, number, INT4) for number, name in enumerate(columns, 1))
    return TableFacts(
        9,
        "public",
        "orders",
        primary_key=tuple(primary_key),
        columns=listed,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("seen", "now", "key"),
    [
        pytest.param(relation("abc", "ab"), facts("abc", "ba"), "ba", id="the order of the constraint"),
        pytest.param(relation("abc", "a"), facts("abc", "b"), "a", id="another key since"),
        pytest.param(relation("abc", "a"), facts("abc", "ab"), "a", id="a wider key since"),
        pytest.param(relation("abc", "a"), facts("abc", ""), "a", id="the key was dropped since"),
        pytest.param(relation("abc", ""), facts("abc", "a"), "", id="the key was added since"),
        pytest.param(relation("abc", "a"), facts("xbc", "x"), "a", id="the key column was renamed since"),
        pytest.param(relation("abc", "ab"), None, "ab", id="the table is gone"),
        pytest.param(relation("abc", "abc", FULL), facts("abc", "ca"), "ca", id="full: the catalog's"),
        pytest.param(relation("abc", "abc", FULL), facts("abx", "x"), "", id="full: a key of the future"),
        pytest.param(relation("abc", "", NOTHING), facts("abc", "b"), "b", id="nothing: the catalog's"),
        pytest.param(relation("abc", "b", INDEX), facts("abc", "a"), "a", id="index: the catalog's"),
    ],
)
def test_primary_key(seen: RelationMessage, now: TableFacts | None, key: str) -> None:
    table = build_table(seen, now)
    assert "".join(table.columns[index].name for index in table.primary_key) == key
    assert table.identity == tuple(i for i, column in enumerate(seen.columns) if column.key)


def test_the_catalog_speaks_of_columns_that_are_the_same() -> None:
    mood = TypeFact(MOOD, "public", "mood", "e", labels=("sad", "ok"))
    now = TableFacts(
        9,
        "public",
        "orders",
        columns=(
            ColumnFacts("a", 1, INT4, type_name="integer", nullable=False, default="7", missing=b"5"),
            ColumnFacts("b", 2, TEXT, type_name="text", nullable=False, default="'x'"),
            ColumnFacts("c", 3, INT4, type_name="integer", default="a * 2", generated="s"),
        ),
    )
    columns = (*relation("abcd").columns, RelationColumn("e", MOOD, -1, key=False))
    seen = RelationMessage(9, "public", "orders", DEFAULT, columns)
    a, b, c, d, e = build_table(seen, now, {MOOD: mood}).columns
    assert (a.type_name, a.nullable, a.default, a.attnum, a.missing) == ("integer", False, "7", 1, b"5")
    assert (b.type_name, b.nullable, b.default, b.attnum) == ("", True, None, 2)  # its type is another by now
    assert (c.type_name, c.default) == ("integer", None)  # what it is made of is no default
    assert (d.type, d.type_name) == (LogicalType("int4"), "")
    assert e.type == LogicalType("enum", labels=("sad", "ok"))


@pytest.mark.parametrize(
    ("seen", "now", "dropped", "numbers"),
    [
        pytest.param("abc", "axc", (), (1, 2, 3), id="renamed since"),
        pytest.param("abc", "axcy", (), (1, 2, 3), id="one in the middle renamed, and one added since"),
        pytest.param(
            "abc", "abxy", (), (1, 2, 0), id="the last one renamed, or dropped before one was added"
        ),
        pytest.param("abc", "acb", (), (1, 2, 3), id="names exchanged since: all are there"),
        pytest.param("abc", "acbx", (), (1, 3, 2), id="names exchanged since, and one added: by name"),
        pytest.param("abc", "a.c", (2,), (1, 2, 3), id="dropped since"),
        pytest.param("abd", "axyd", (), (1, 0, 4), id="one of two"),
        pytest.param("bc", "xyz", (), (0, 0), id="all renamed, and one more since"),
        pytest.param("ac", "abc", (), (1, 3), id="one added since, or not published"),
    ],
)
def test_attribute_numbers(seen: str, now: str, dropped: tuple[int, ...], numbers: tuple[int, ...]) -> None:
    columns = tuple(column for column in facts(now).columns if column.name != ".")
    table = build_table(relation(seen), TableFacts(9, "public", "o", columns=columns, dropped=dropped))
    assert tuple(column.attnum for column in table.columns) == numbers
    other = build_table(relation(seen), TableFacts(8, "public", "o", columns=columns, dropped=dropped))
    by_name = tuple(now.find(name) + 1 for name in seen)
    assert tuple(column.attnum for column in other.columns) == by_name, "another table says less"


@pytest.mark.parametrize(
    ("identity", "flagged"), [(DEFAULT, "ba"), (INDEX, "c"), (FULL, "abc"), (NOTHING, "")]
)
def test_a_snapshot_builds_the_stream_s_table(identity: str, flagged: str) -> None:
    now = facts("abc", "ba", replica_identity=identity, identity_index=("c",))
    seen = relation("abc", flagged, identity)
    assert relation_from_facts(now) == seen
    assert build_table(relation_from_facts(now), now).fingerprint == build_table(seen, now).fingerprint


def test_columns_that_are_not_published() -> None:
    columns = (ColumnFacts("a", 1, INT4), ColumnFacts("g", 2, INT4, generated="s"), ColumnFacts("z", 3, INT4))
    now = TableFacts(9, "public", "orders", columns=columns)

    def names(made: RelationMessage) -> str:
        return "".join(column.name for column in made.columns)

    assert names(relation_from_facts(now)) == "az"
    assert names(relation_from_facts(now, generated=("s",))) == "agz"
    assert names(relation_from_facts(now, columns=["z", "g"])) == "gz"


def test_states() -> None:
    """Every state is reached, and a person can end every one."""
    assert advance("new", "copy_started") == "copying"
    assert advance(advance("copying", "copy_finished"), "caught_up") == "live"
    assert advance("live", "refused") == "parked"
    reached = {after for events in TRANSITIONS.values() for after in events.values()}
    assert reached == TRANSITIONS.keys()
    assert all(advance(state, "resync") == "new" for state in TRANSITIONS)


@pytest.mark.parametrize(
    ("state", "event"), [("parked", "caught_up"), ("new", "copy_finished"), ("?", "resync")]
)
def test_illegal_transitions(state: str, event: str) -> None:
    with pytest.raises(ValueError, match="cannot meet"):
        advance(state, event)
