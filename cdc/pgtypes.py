"""PostgreSQL's types by meaning: OID and typmod → `LogicalType`, whose `kind` is one of `KINDS`.

Built-in types have fixed OIDs and stand in the table of `pgtypes_builtin`. All others (domains, enums, composites, types of
extensions) have OIDs of their database and are told by `TypeFact`s, which the catalog is asked for once. What neither knows is
`unknown`: its text is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cdc.pgtypes_builtin import BUILTIN
from cdc.schema import LogicalType

KINDS = frozenset(
    {
        *("bool", "int2", "int4", "int8", "oid", "xid8", "float4", "float8", "numeric", "money"),
        *("text", "varchar", "char", "bytea", "bit", "varbit", "uuid", "json", "jsonb", "jsonpath", "xml"),
        *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
        *("inet", "cidr", "macaddr", "macaddr8", "pg_lsn", "tsvector", "tsquery"),
        *("point", "line", "lseg", "box", "path", "polygon", "circle"),
        *("array", "range", "multirange", "enum", "composite"),
        *("citext", "hstore", "ltree", "vector", "halfvec", "sparsevec", "geometry", "geography"),
        "unknown",  # text, by the rule that no value is dropped for its type
    }
)
EXTENSION_KINDS = frozenset(
    {"citext", "hstore", "ltree", "vector", "halfvec", "sparsevec", "geometry", "geography"}
)
FIRST_OWN_OID = 16384  # types below it come with initdb

# pg_type.typtype
BASE, DOMAIN, ENUM, COMPOSITE, RANGE, MULTIRANGE = "b", "d", "e", "c", "r", "m"

UNKNOWN = LogicalType("unknown")


@dataclass(frozen=True, slots=True)
class TypeFact:
    """A type that is not built in, as pg_type has it.

    `base_oid` and `base_typmod` belong to domains, `labels` to enums in their order; `element_oid` is the element of an
    array, the subtype of a range, or the range of a multirange.
    """

    oid: int
    schema: str
    name: str
    typtype: str = BASE
    base_oid: int = 0
    base_typmod: int = -1
    element_oid: int = 0
    labels: tuple[str, ...] = ()


def logical_type(oid: int, typmod: int = -1, facts: Mapping[int, TypeFact] = {}) -> LogicalType:
    """The meaning of a type. A domain is what it is made of; its constraints are the source's business."""
    builtin = _BUILTIN.get(oid)
    if builtin is not None:
        kind, element = builtin
        return _modified(kind, typmod, logical_type(element, typmod, facts) if element else None)
    fact = facts.get(oid)
    if fact is None:
        return UNKNOWN
    if fact.typtype == DOMAIN:
        return logical_type(fact.base_oid, fact.base_typmod, facts)
    if fact.typtype == ENUM:
        return LogicalType("enum", labels=fact.labels)
    if fact.typtype == COMPOSITE:
        return LogicalType("composite")
    if fact.element_oid:
        kind = {RANGE: "range", MULTIRANGE: "multirange"}.get(fact.typtype, "array")
        return LogicalType(kind, element=logical_type(fact.element_oid, typmod, facts))
    return _modified(fact.name, typmod) if fact.name in EXTENSION_KINDS else UNKNOWN


def needed_types(oids: Iterable[int], facts: Mapping[int, TypeFact]) -> set[int]:
    """The types that facts are still missing of to understand these: their own and what those are made of."""
    seen = set(oids)
    waiting = list(seen)
    while waiting:
        fact = facts.get(waiting.pop())
        parts = {fact.base_oid, fact.element_oid} - seen - {0} if fact else set()
        seen |= parts
        waiting += parts
    return {oid for oid in seen if oid not in _BUILTIN and oid not in facts}


def _modified(kind: str, typmod: int, element: LogicalType | None = None) -> LogicalType:
    """The kind with its modifier, which each kind packs in its own way."""
    if element is not None or typmod < 0:
        return LogicalType(kind, element=element)
    if kind == "numeric" and typmod >= _HEADER:
        packed = typmod - _HEADER
        scale = (packed & 0x7FF ^ 0x400) - 0x400  # 11 bits, and a sign since PostgreSQL 15
        return LogicalType(kind, precision=packed >> 16 & 0xFFFF, scale=scale)
    if kind in ("varchar", "char") and typmod >= _HEADER:
        return LogicalType(kind, length=typmod - _HEADER)
    if kind in ("time", "timetz", "timestamp", "timestamptz"):
        return LogicalType(kind, precision=typmod)
    if kind == "interval" and typmod & 0xFFFF != _FULL_PRECISION:
        return LogicalType(kind, precision=typmod & 0xFFFF)
    if kind in ("bit", "varbit", "vector", "halfvec", "sparsevec"):
        return LogicalType(kind, length=typmod)
    return LogicalType(kind)


_HEADER = 4  # VARHDRSZ, which these typmods include
_FULL_PRECISION = 0xFFFF  # of interval; above it, in the high half, stand the fields that it is restricted to


def _with_arrays() -> Iterator[tuple[int, tuple[str, int]]]:
    for oid, array_oid, _, kind, element in BUILTIN:
        yield oid, (kind, element)
        if array_oid:
            yield array_oid, ("array", oid)


_BUILTIN: Mapping[int, tuple[str, int]] = dict(_with_arrays())
