"""LogicalType → PostgreSQL: the source's own type, if the target has it; else what holds the same text.

The rules, in this order, for a column's type:

1. `columns` of the settings names one: that one;
2. the target has a type of the source's name (built in, or made there by its owner): that one, with the same length or digits;
3. an enum, with `enums = "create"`: it is created, with the source's labels;
4. a domain, or a column of which only the meaning is known (a topic that somebody else wrote): `KINDS`;
5. anything else: `text`, with PostgreSQL's own text of the value, or a refusal, by `unknown_types`.

Types are compared as `format_type` prints them in the target.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from cdc.schema import LogicalType

TEXT = "text"

# What holds every value of a kind when the type's own name is not known; `text` stands for "only its text".
KINDS: Mapping[str, str] = {
    "bool": "boolean",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "oid": "oid",
    "xid8": "xid8",
    "float4": "real",
    "float8": "double precision",
    "numeric": "numeric",
    "money": "money",
    "varchar": "character varying",
    "char": "character",
    "bit": "bit",
    "varbit": "bit varying",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    **{
        kind: kind
        for kind in (
            *("text", "bytea", "uuid", "json", "jsonb", "jsonpath", "xml", "date", "interval"),
            *("inet", "cidr", "macaddr", "macaddr8", "pg_lsn", "tsvector", "tsquery"),
            *("point", "line", "lseg", "box", "path", "polygon", "circle"),
        )
    },
}
RANGES: Mapping[str, str] = {
    "int4": "int4range",
    "int8": "int8range",
    "numeric": "numrange",
    "date": "daterange",
    "timestamp": "tsrange",
    "timestamptz": "tstzrange",
}
NARROWER: Mapping[str, tuple[str, ...]] = {
    "integer": ("smallint",),
    "bigint": ("smallint", "integer", "oid"),
    "numeric": ("smallint", "integer", "bigint", "oid"),
    "double precision": ("real",),
    "character varying": ("character",),
    "bit varying": ("bit",),
}
"""What a type without digits or length holds, each value with the same text."""
GROWING = ("character varying", "bit varying", "time", "timestamp", "interval")
"""Types whose number in brackets is a limit: without it, or with a higher one, they hold the same texts."""

Modified: TypeAlias = tuple[str, tuple[int, ...]]


def by_kind(kept: LogicalType) -> str:
    """The built-in type for a meaning, as `format_type` prints it; `text` where there is none."""
    if kept.kind == "array" and kept.element is not None:
        element = by_kind(kept.element)
        return TEXT if element == TEXT and kept.element.kind != "text" else f"{element}[]"
    if kept.kind == "range" and kept.element is not None:
        return RANGES.get(kept.element.kind, TEXT)
    name = KINDS.get(kept.kind, TEXT)
    if kept.kind == "numeric" and kept.precision is not None:
        return f"numeric({kept.precision},{kept.scale or 0})"
    if kept.kind in ("char", "bit", "varchar", "varbit"):
        length = kept.length or (None if kept.kind.startswith("var") else 1)
        return f"{name}({length})" if length else name
    if kept.kind in ("time", "timetz", "timestamp", "timestamptz") and kept.precision is not None:
        first, rest = name.split(" ", 1)
        return f"{first}({kept.precision}) {rest}"
    return name


def is_known(kept: LogicalType) -> bool:
    """Whether the meaning alone says which type holds the value, not only its text."""
    return by_kind(kept) != TEXT or kept.kind == "text"


def holds(present: str, wanted: str) -> bool:
    """Whether a column of one type keeps the text of every value of another."""
    if present in (wanted, TEXT):
        return True
    (have, room), (want, need) = _modified(present), _modified(wanted)
    if have != want:
        return not room and want in NARROWER.get(have, ())
    if have == "numeric":
        return not room or (bool(need) and room[1:] == need[1:] and room[0] >= need[0])
    if have.split(" ")[0] in GROWING or have in GROWING:
        return not room or (bool(need) and room[0] >= need[0])
    return False


def _modified(name: str) -> Modified:
    """A type without its numbers in brackets, and those numbers."""
    found = re.search(r"\((-?\d+(?:,-?\d+)*)\)", name)
    if found is None:
        return name, ()
    rest = f"{name[: found.start()]}{name[found.end() :]}"
    return rest, tuple(int(number) for number in found[1].split(","))
