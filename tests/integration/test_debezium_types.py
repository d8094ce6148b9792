"""The real Debezium writes, `cdc apply` reads: every value of every type, by embedded schemas and by given ones."""

from __future__ import annotations

import pytest

from tests.fixtures.interop import Interop

EVERY = {
    "id": ("bigint", ["1", "2", "3", "4"]),
    "s": ("smallint", ["-32768", "32767", "0"]),
    "i": ("integer", ["-2147483648", "2147483647", "0"]),
    "big": ("bigint", ["-9223372036854775808", "9223372036854775807", "0"]),
    "o": ("oid", ["4294967295", "0", "1"]),
    "t": ("text", ["", 'a"b\\c\n\te😀', "null"]),
    "v": ("varchar(20)", ["", "é😀", " x "]),
    "c5": ("char(5)", ["", "ab", "abcde"]),
    "c1": ('"char"', ["a", "z", "1"]),
    "b": ("boolean", ["t", "f", "t"]),
    "f": ("real", ["0.1", "NaN", "-Infinity"]),
    "g": ("double precision", ["0.1", "1e300", "NaN"]),
    "n": ("numeric(10, 2)", ["-0.01", "99999999.99", "1.50"]),
    "n0": ("numeric(38)", ["-" + "9" * 38, "0", "7"]),
    "nu": ("numeric", ["1.1", "1e-20", "123456789012345678901234567890.5"]),
    "m": ("money", ["-1.05", "92233720368547758.07", "0"]),
    "y": ("bytea", ["\\x", "\\x00ff80", "\\xdeadbeef"]),
    "d": ("date", ["2024-02-29", "0001-01-01", "9999-12-31"]),
    "ti": ("time", ["00:00:00", "23:59:59.999999", "01:02:03.4"]),
    "ti3": ("time(3)", ["00:00:00", "23:59:59.999", "01:02:03.4"]),
    "ts": ("timestamp", ["1969-12-31 23:59:59.999999", "2024-02-29 12:00:00", "9999-12-31 23:59:59.5"]),
    "ts3": ("timestamp(3)", ["1969-12-31 23:59:59.999", "2024-02-29 12:00:00", "0001-01-01 00:00:00"]),
    "tz": (
        "timestamptz",
        ["1969-12-31 23:59:59.999999+02", "2024-02-29 12:00:00Z", "9999-12-31 00:00:00.25Z"],
    ),
    "tt": ("timetz", ["00:00:00+00", "23:59:59.999999+00", "01:02:03+00"]),
    "iv": ("interval", ["1 year 2 mons -3 days 04:05:06.789", "-00:00:00.000001", "0"]),
    "u": ("uuid", ["0" * 32, "f" * 32, "a0eebc999c0b4ef8bb6d6bb9bd380a11"]),
    "j": ("json", ['{"a": 1,  "a":1e2}', "null", "[]"]),
    "jb": ("jsonb", ['{"a": "\\u0041", "b": [1, null]}', "null", '"x"']),
    "x": ("xml", ["<a/>", "<a>b&amp;</a>", "text"]),
    "b1": ("bit(1)", ["0", "1", "0"]),
    "b8": ("bit(8)", ["10000000", "11111111", "10101010"]),
    "vb": ("varbit", ["1", "1010101010", "11"]),
    "ip": ("inet", ["10.0.0.1/8", "::1", "1.2.3.4"]),
    "ci": ("cidr", ["10.0.0.0/8", "::/0", "1.2.3.4/32"]),
    "ma": ("macaddr", ["08:00:2b:01:02:03"] * 3),
    "m8": ("macaddr8", ["08:00:2b:01:02:03:04:05"] * 3),
    "po": ("point", ["(1,2)", "(-0.1,1e300)", "(0,0)"]),
    "r4": ("int4range", ["[1,5)", "empty", "(,3)"]),
    "r8": ("int8range", ["[1,5)", "empty", "(,3)"]),
    "rn": ("numrange", ["[1.5,5)", "empty", "(,3.0]"]),
    "rd": ("daterange", ["[2024-01-01,2024-02-01)", "empty", "(,)"]),
    "rt": ("tsrange", ['["2024-01-01 00:00:00",)', "empty", "(,)"]),
    "rz": ("tstzrange", ['["2024-01-01 00:00:00+00",)', "empty", "(,)"]),
    "tv": ("tsvector", ["'a':1 'b'", "'x'", ""]),
    "h": ("hstore", ["a=>1", '"a b"=>NULL', ""]),
    "lt": ("ltree", ["a.b.c", "Top", ""]),
    "ct": ("citext", ["A", "b", ""]),
    "mo": ("mood", ["sad", "ok", "sad"]),
    "po_": ("positive", ["1", "2", "3"]),
    "ta": ("text[]", ['{a,NULL,"b,1"}', "{}", '{""}']),
    "va": ("varchar(5)[]", ["{a,NULL}", "{}", "{b}"]),
    "ia": ("integer[]", ["{1,NULL,-3}", "{}", "{0}"]),
    "ba": ("bigint[]", ["{1,NULL,-3}", "{}", "{0}"]),
    "boa": ("boolean[]", ["{t,f,NULL}", "{}", "{t}"]),
    "fa": ("double precision[]", ["{0.1,NULL}", "{}", "{1e300}"]),
    "nua": ("numeric(5,2)[]", ["{1.10,NULL}", "{}", "{0.00}"]),
    "da": ("date[]", ["{2024-02-29,NULL}", "{}", "{1969-01-01}"]),
    "tsa": ("timestamp[]", ['{"2024-02-29 12:00:00.123456",NULL}', "{}", '{"1969-12-31 23:59:59"}']),
    "tza": ("timestamptz[]", ['{"2024-02-29 12:00:00.123456+00",NULL}', "{}", '{"1969-12-31 23:59:59+00"}']),
    "ua": ("uuid[]", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}", "{}", "{}"]),
    "jba": ("jsonb[]", ['{"{\\"a\\": 1}",NULL}', "{}", "{}"]),
    "ipa": ("inet[]", ["{10.0.0.1,NULL}", "{}", "{}"]),
    "ma_": ("mood[]", ["{sad,ok}", "{}", "{ok}"]),
}


def _create(columns: list[str]) -> str:
    return f"""
        create extension hstore; create extension ltree; create extension citext;
        create type mood as enum ('sad', 'ok'); create domain positive as integer check (value > 0);
        create table every ({", ".join(f"{name} {EVERY[name][0]}" for name in columns)}, primary key (id));
    """


def _rows(columns: list[str], first: int) -> str:
    """Rows with each column's values, and one of nulls."""
    rows = [[str(first + number), *(EVERY[name][1][number] for name in columns[1:])] for number in range(3)]
    quoted = [", ".join("'" + cell.replace("'", "''") + "'" for cell in row) for row in rows]
    values = ", ".join(f"({row})" for row in quoted)
    return f"insert into every values {values}, ({first + 3}{', null' * (len(columns) - 1)});"


CHANGED = """
    update every set t = 'changed' where id = 11;
    update every set id = 99 where id = 12;
    delete from every where id = 13;
"""
IN_DEBEZIUM = {"mood": "text", "positive": "integer", "mood[]": "text[]"}
OTHERWISE = {"b1": "boolean", "h": "json", "j": "jsonb"}  # what an embedded schema says of these


@pytest.mark.parametrize("schemas", ["embedded", "given"])
def test_every_value_of_every_type_arrives(interop15: Interop, schemas: str) -> None:
    line, columns = interop15, [name for name in EVERY if schemas == "given" or name not in OTHERWISE]
    line.database.execute(_create(columns) + _rows(columns, 1))
    if schemas == "given":
        types = {name: IN_DEBEZIUM.get(EVERY[name][0], EVERY[name][0]) for name in columns}
        line.settings['format.schemas."public.every".columns'] = types
    enable = "true" if schemas == "embedded" else "false"
    line.settings["format"]["interval_handling_mode"] = "string"
    converters = {"key_converter_schemas_enable": enable, "value_converter_schemas_enable": enable}
    with line.connector(**converters, interval_handling_mode="string"):
        line.run_and_compare("every")
        line.database.execute(_rows(columns, 11) + CHANGED)
        line.run_and_compare("every")
