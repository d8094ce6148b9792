"""Types as people write them in SQL, with all their spellings: `numeric(10, 2)`, `int`, `timestamp(3) with time zone[]`.

What an enum, a domain or a composite type is stands in its database's catalog alone, so a name does not tell it.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from cdc.pgtypes import EXTENSION_KINDS, FIRST_OWN_OID, TypeFact, logical_type
from cdc.pgtypes_builtin import BUILTIN
from cdc.schema import Column
from cdc.source.typmod import parse_typmod

SPELLINGS = {
    **{"int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "bool": "boolean"},
    **{"float4": "real", "float8": "double precision", "float": "double precision", "decimal": "numeric"},
    **{"varchar": "character varying", "char": "character", "varbit": "bit varying"},
    **{"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone"},
    **{"time": "time without time zone", "timetz": "time with time zone"},
    **{"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"},
}
"""Other names of the types that `format_type` prints."""
PRINTED = {
    **{"integer": "int4", "bigint": "int8", "smallint": "int2", "boolean": "bool", "real": "float4"},
    **{"double precision": "float8", "character varying": "varchar", "character": "bpchar"},
    **{"bit varying": "varbit", '"char"': "char", "interval": "interval"},
    **{"timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz"},
    **{"time without time zone": "time", "time with time zone": "timetz"},
}
"""And what pg_type calls those, where that is another."""
ONE = {"character", "bit"}  # are of length 1 if nothing is said
_OIDS = {name: (oid, array_oid) for oid, array_oid, name, _, _ in BUILTIN}
_TEXT = re.compile(
    r'("char"|[a-z_][a-z0-9_ ]*?) ?(?:\( ?([a-z0-9, -]*?) ?\))?( with(?:out)? time zone)?((?: ?\[\d*\])*)'
)
_FIELDS = re.compile(r"interval (.+)")


def column_of(name: str, written: str, *, nullable: bool = True) -> Column:
    """A column of a type. Raises ValueError for one that is not known."""
    text = " ".join(written.lower().split())
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{written!r} is not a type's name")
    base, modifier, zone, brackets = match[1], match[2], match[3] or "", match[4]
    plain = SPELLINGS.get(base + zone, base + zone)
    if zone and base not in ("time", "timestamp"):
        raise ValueError(f"{written!r} is not a type's name")
    fields = _FIELDS.fullmatch(plain)
    known = PRINTED.get("interval" if fields else plain, plain)
    if plain in ONE and modifier is None:
        modifier = "1"
    head, _, tail = plain.partition(" with")
    tail = f" with{tail}" if tail else ""
    printed = head + (f"({modifier.replace(' ', '')})" if modifier else "") + tail
    typmod = parse_typmod(printed)
    if fields and typmod < 0:
        raise ValueError(f"{written!r} is not a type's name")
    array = bool(brackets)
    if known in _OIDS:
        oid, array_oid = _OIDS[known]
        if array and not array_oid:
            raise ValueError(f"there are no arrays of {plain}")
        oid = array_oid if array else oid
        of = logical_type(oid, typmod)
    elif known in EXTENSION_KINDS:
        own, own_array = FIRST_OWN_OID, FIRST_OWN_OID + 1
        facts = {
            own: TypeFact(own, "", known),
            own_array: TypeFact(own_array, "", f"_{known}", element_oid=own),
        }
        of, oid = logical_type(own_array if array else own, typmod, facts), 0
    else:
        near = get_close_matches(known, [*_OIDS, *EXTENSION_KINDS, *PRINTED, *SPELLINGS], 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"there is no type {written!r} ({hint}an enum is text here, and a domain what it is made of)"
        )
    return Column(name, of, oid, typmod, printed + ("[]" if array else ""), nullable)
