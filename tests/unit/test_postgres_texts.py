"""How rows become what PostgreSQL reads, and which of its types hold the values of which."""

from __future__ import annotations

import pytest

from cdc.schema import LogicalType
from connectors.postgres.rows import array, lines
from connectors.postgres.types import by_kind, holds


def test_arrays() -> None:
    assert array([]) == b"{}"
    assert array([b""]) == b'{""}'
    assert array([None]) == b"{NULL}"
    assert array([b"a", b"b,}{", "é ".encode()]) == '{"a","b,}{","é "}'.encode()
    assert array([b"null", None, b"NULL"]) == b'{"null",NULL,"NULL"}'
    assert array([b'"', None, b"\\", b'","']) == b'{"\\"",NULL,"\\\\","\\",\\""}'
    assert array([b'a","b']) == b'{"a\\",\\"b"}'  # one element, though it looks like two


def test_lines() -> None:
    assert lines([(b"1", b"a")]) == b"1\ta\n"
    assert lines([(b"1", None), (b"", b"b")]) == b"1\t\\N\n\tb\n"
    assert lines([(b"\\N", None), (b"\t\n\r", b"\\.")]) == b"\\\\N\t\\N\n\\t\\n\\r\t\\\\.\n"


@pytest.mark.parametrize(
    ("present", "wanted", "answer"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("numeric", "numeric(10,2)", True),
        ("numeric(12,2)", "numeric(10,2)", True),
        ("numeric(12,3)", "numeric(10,2)", False),  # it would print another zero
        ("numeric(10,2)", "numeric", False),
        ("numeric", "bigint", True),
        ("numeric(10,2)", "bigint", False),
        ("text", "jsonb", True),
        ("character varying(9)", "character varying(8)", True),
        ("character varying(8)", "character varying(9)", False),
        ("character varying", "character(3)", True),
        ("character(5)", "character(3)", False),  # padded
        ("timestamp without time zone", "timestamp(3) without time zone", True),
        ("timestamp(3) without time zone", "timestamp without time zone", False),
        ("timestamp with time zone", "timestamp without time zone", False),
        ("timestamp without time zone", "date", False),
        ("public.vector(3)", "public.vector(4)", False),
    ],
)
def test_what_holds_what(present: str, wanted: str, answer: bool) -> None:
    assert holds(present, wanted) is answer


@pytest.mark.parametrize(
    ("kept", "name"),
    [
        (LogicalType("numeric", 10, 2), "numeric(10,2)"),
        (LogicalType("char"), "character(1)"),
        (LogicalType("varchar", length=7), "character varying(7)"),
        (LogicalType("timestamptz", 3), "timestamp(3) with time zone"),
        (LogicalType("array", element=LogicalType("timestamp")), "timestamp without time zone[]"),
        (LogicalType("array", element=LogicalType("enum", labels=("a",))), "text"),
        (LogicalType("range", element=LogicalType("date")), "daterange"),
        (LogicalType("hstore"), "text"),
    ],
)
def test_types_by_meaning(kept: LogicalType, name: str) -> None:
    assert by_kind(kept) == name
