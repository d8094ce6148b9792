"""Identifiers and literals: whatever is in them, they stay one word, and different ones stay different."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import TargetError
from cdc.schema import Column, LogicalType, Table
from connectors.sql import ascii_lower, check_table, literal, qualified, quote

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=63)
TEXT = LogicalType("text")


@pytest.fixture(scope="module")
def scratch() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(names)
def test_a_quoted_name_is_read_as_it_was(scratch: duckdb.DuckDBPyConnection, name: str) -> None:
    result = scratch.execute(f"select 1 as {quote(name)}")
    assert [column[0] for column in result.description or ()] == [name]
    result.fetchall()


@given(names)
def test_a_literal_is_read_as_it_was(scratch: duckdb.DuckDBPyConnection, text: str) -> None:
    assert scratch.execute(f"select {literal(text)}").fetchall() == [(text,)]


@given(st.lists(names, min_size=1, max_size=3), st.lists(names, min_size=1, max_size=3))
def test_different_names_are_quoted_differently(one: list[str], other: list[str]) -> None:
    assert (qualified(*one) == qualified(*other)) == (one == other)


@pytest.mark.parametrize("bad", ["", "a\0b"])
def test_what_postgresql_cannot_have_is_no_identifier(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot be an identifier"):
        quote(bad)


def test_duckdb_ignores_the_case_of_ascii_alone(scratch: duckdb.DuckDBPyConnection) -> None:
    scratch.execute('create table "É" (a int); create table "é" (a int)')
    with pytest.raises(duckdb.CatalogException):
        scratch.execute('create table "A" (x int); create table "a" (x int)')
    assert ascii_lower("ÉAbC") == "Éabc"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            Table("public", "t", (Column("id", TEXT), Column("ID", TEXT))),
            "the column 'ID' cannot be told from 'id'",
        ),
        (Table("_CDC", "t", (Column("id", TEXT),)), "kept for cdc's own tables"),
        (Table("public", "t", ()), "without columns"),
    ],
)
def test_tables_that_the_target_cannot_have(table: Table, message: str) -> None:
    with pytest.raises(TargetError, match=message) as raised:
        check_table(table, ascii_lower)
    assert raised.value.where == table.full_name
    assert raised.value.hint
