"""The tables of types against the servers that they describe."""

from __future__ import annotations

import pytest

from cdc.pgtypes import logical_type
from cdc.pgtypes_builtin import BUILTIN
from cdc.schema import LogicalType
from cdc.source.typmod import parse_typmod
from tests.fixtures.postgres import Database
from tests.golden.make_pgtypes import builtin_types


def test_builtin_types_are_the_server_s(every_database: Database) -> None:
    known = {row[0]: row for row in BUILTIN}
    assert {row[0]: known.get(row[0]) for row in builtin_types(every_database)} == {
        row[0]: row for row in builtin_types(every_database)
    }


MODIFIED: dict[str, LogicalType] = {
    "numeric": LogicalType("numeric"),
    "numeric(10,2)": LogicalType("numeric", precision=10, scale=2),
    "numeric(7)": LogicalType("numeric", precision=7, scale=0),
    "numeric(1000,1000)": LogicalType("numeric", precision=1000, scale=1000),
    "numeric(5,-3)": LogicalType("numeric", precision=5, scale=-3),
    "numeric(2,-1000)": LogicalType("numeric", precision=2, scale=-1000),
    "varchar": LogicalType("varchar"),
    "varchar(10485760)": LogicalType("varchar", length=10485760),
    "char": LogicalType("char", length=1),
    "char(7)": LogicalType("char", length=7),
    "bpchar": LogicalType("char"),
    '"char"': LogicalType("text"),
    "name": LogicalType("text"),
    "bit": LogicalType("bit", length=1),
    "bit(5)": LogicalType("bit", length=5),
    "varbit": LogicalType("varbit"),
    "varbit(5)": LogicalType("varbit", length=5),
    "time": LogicalType("time"),
    "time(0)": LogicalType("time", precision=0),
    "timetz(6)": LogicalType("timetz", precision=6),
    "timestamp(3)": LogicalType("timestamp", precision=3),
    "timestamptz": LogicalType("timestamptz"),
    "timestamptz(0)": LogicalType("timestamptz", precision=0),
    "interval": LogicalType("interval"),
    "interval(4)": LogicalType("interval", precision=4),
    **{
        f"interval {fields}": LogicalType("interval")
        for fields in [
            *("year", "month", "day", "hour", "minute", "second", "year to month", "day to hour"),
            *("day to minute", "day to second", "hour to minute", "hour to second", "minute to second"),
        ]
    },
    "interval second(2)": LogicalType("interval", precision=2),
    "interval day to second(0)": LogicalType("interval", precision=0),
    "numeric(10,2)[]": LogicalType("array", element=LogicalType("numeric", precision=10, scale=2)),
    "varchar(3)[]": LogicalType("array", element=LogicalType("varchar", length=3)),
    "timestamptz(3)[]": LogicalType("array", element=LogicalType("timestamptz", precision=3)),
    "interval day to second(1)[]": LogicalType("array", element=LogicalType("interval", precision=1)),
    '"char"[]': LogicalType("array", element=LogicalType("text")),
    "int4[]": LogicalType("array", element=LogicalType("int4")),
    "daterange": LogicalType("range", element=LogicalType("date")),
    "xid8": LogicalType("xid8"),
}


def test_modifiers(database: Database) -> None:
    """As numbers to logical types, and out of the names that the server gives them back to the same numbers."""
    database.execute(f"create table typed ({', '.join(f'c{i} {name}' for i, name in enumerate(MODIFIED))})")
    columns = database.query(
        "select atttypid::int, atttypmod, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'typed'::regclass and attnum > 0 order by attnum"
    )
    for (oid, typmod, type_name), (declared, expected) in zip(columns, MODIFIED.items(), strict=True):
        assert logical_type(oid, typmod) == expected, declared
        assert parse_typmod(type_name) == typmod, type_name


@pytest.mark.parametrize("name", ["geometry(Point,4326)", "", "(3)", '"My S".mood', "numeric(", "a(1,2,3)"])
def test_no_modifier_is_made_up(name: str) -> None:
    assert parse_typmod(name) == -1
