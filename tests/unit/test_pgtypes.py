"""Logical types of built-in types and of facts."""

from __future__ import annotations

import pytest

from cdc.pgtypes import KINDS, TypeFact, logical_type, needed_types
from cdc.pgtypes_builtin import BUILTIN
from cdc.schema import LogicalType

NUMERIC, VARCHAR, NUMERIC_ARRAY = 1700, 1043, 1231
MOOD, MOODS, PRICE, PRICES, PAIR, SPAN, SPANS, CITEXT, VECTOR, ODD = range(20000, 20010)
FACTS = {
    fact.oid: fact
    for fact in [
        TypeFact(MOOD, "public", "mood", "e", labels=("sad", "ok")),
        TypeFact(MOODS, "public", "_mood", element_oid=MOOD),
        TypeFact(PRICE, "public", "price", "d", base_oid=NUMERIC, base_typmod=(10 << 16 | 2) + 4),
        TypeFact(PRICES, "public", "prices", "d", base_oid=NUMERIC_ARRAY, base_typmod=(10 << 16 | 2) + 4),
        TypeFact(PAIR, "public", "pair", "c"),
        TypeFact(SPAN, "public", "span", "r", element_oid=MOOD),
        TypeFact(SPANS, "public", "spans", "m", element_oid=SPAN),
        TypeFact(CITEXT, "elsewhere", "citext"),
        TypeFact(VECTOR, "public", "vector"),
        TypeFact(ODD, "public", "odd"),
    ]
}
MOOD_TYPE = LogicalType("enum", labels=("sad", "ok"))
PRICE_TYPE = LogicalType("numeric", precision=10, scale=2)


@pytest.mark.parametrize(
    ("oid", "typmod", "expected"),
    [
        (MOOD, -1, MOOD_TYPE),
        (MOODS, -1, LogicalType("array", element=MOOD_TYPE)),
        (PRICE, -1, PRICE_TYPE),
        (PRICES, -1, LogicalType("array", element=PRICE_TYPE)),
        (PAIR, -1, LogicalType("composite")),
        (SPAN, -1, LogicalType("range", element=MOOD_TYPE)),
        (SPANS, -1, LogicalType("multirange", element=LogicalType("range", element=MOOD_TYPE))),
        (CITEXT, -1, LogicalType("citext")),
        (VECTOR, 3, LogicalType("vector", length=3)),
        (ODD, 3, LogicalType("unknown")),
        (99999, -1, LogicalType("unknown")),
        (3904, -1, LogicalType("range", element=LogicalType("int4"))),
        (4451, -1, LogicalType("multirange", element=LogicalType("range", element=LogicalType("int4")))),
        (NUMERIC_ARRAY, (10 << 16 | 2) + 4, LogicalType("array", element=PRICE_TYPE)),
        (1002, -1, LogicalType("array", element=LogicalType("text"))),  # of "char"
    ],
)
def test_logical_type(oid: int, typmod: int, expected: LogicalType) -> None:
    assert logical_type(oid, typmod, FACTS) == expected


def test_needed_types() -> None:
    """First what is not known, then what that is made of."""
    assert needed_types([NUMERIC, PRICES, MOODS], {}) == {PRICES, MOODS}
    assert needed_types([PRICES, MOODS], {PRICES: FACTS[PRICES], MOODS: FACTS[MOODS]}) == {MOOD}
    assert needed_types(FACTS, FACTS) == set()


def test_rows_are_sound() -> None:
    assert {kind for _, _, _, kind, _ in BUILTIN} <= KINDS
    oids = [oid for row in BUILTIN for oid in row[:2] if oid]
    assert len(set(oids)) == len(oids)
