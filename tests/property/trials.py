"""What the property tests of values have in common: PostgreSQL as the judge, and the trial of one type in one target."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.pgtypes import ENUM, TypeFact, logical_type
from cdc.schema import Column, LogicalType, Table
from cdc.source.connect import SESSION
from tests.fixtures.postgres import PostgresServer, Start

EXAMPLES = int(os.environ.get("CDC_EXAMPLES", "8"))
DIGITS = "ltrim(to_char(({v})::float8, '9.9999999999999999EEEE'))"
FLOAT = f"case when {{v}}::text in ('NaN', 'Infinity', '-Infinity') then {{v}}::text else {DIGITS} end"
IN_FORM = {
    **{"text": "{v}", "float": FLOAT, "number": "trim_scale({v})"},
    "one zero": FLOAT.replace("{v}", "({v} + 0)"),
}
Judge = psycopg.Connection[tuple[object, ...]]
quickly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def judge(start_postgres: Start) -> Iterator[Judge]:
    server: PostgresServer = start_postgres(18)
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    with psycopg.connect(server.dsn("postgres"), autocommit=True, options=options) as connection:
        connection.execute("create schema values_test; set search_path = values_test, pg_catalog")
        connection.execute("create type mood as enum ('', 'so so', 'NULL', 'happy,\"{}')")
        yield connection
        connection.execute("drop schema values_test cascade")


class Trial(ABC):
    """One type, from PostgreSQL's text into a table of the target's and back. `form` and `is_array` say how the target can tell
    a value."""

    form = "text"
    is_array = False

    def __init__(self, judge: Judge, type_name: str, name: str) -> None:
        self.judge = judge
        self.type_name = type_name
        column = Column("v", self._logical(), type_name=type_name)
        self.table = Table("public", name, (Column("id", LogicalType("int8")), column), primary_key=(0,))

    @abstractmethod
    def run(self, values: Sequence[str]) -> None:
        """Everything comes back, but for what must be refused, and is."""

    def hold(self, values: st.SearchStrategy[list[str]]) -> None:
        """Whatever is tried."""

        @quickly
        @given(values)
        def run(drawn: list[str]) -> None:
            self.run(drawn)

        run()

    def _logical(self) -> LogicalType:
        [(oid, element, label_type)] = self.judge.execute(
            "select t.oid::int, t.typelem::int, 'mood'::regtype::oid::int from pg_type t where t.oid = %s::regtype",
            [self.type_name],
        ).fetchall()
        self.judge.execute(f"create temp table shape (v {self.type_name})")
        [(typmod,)] = self.judge.execute(
            "select atttypmod from pg_attribute where attrelid = 'shape'::regclass and attnum = 1"
        )
        self.judge.execute("drop table shape")
        facts = {label_type: TypeFact(label_type, "", "mood", ENUM)}
        if element == label_type:
            facts[oid] = TypeFact(oid, "", "_mood", element_oid=label_type)
        return logical_type(oid, typmod, facts)

    def printed(self, values: Sequence[str]) -> list[tuple[bytes, bytes]]:
        """PostgreSQL's text of those of the values that it takes, and the text in the form that the target can tell."""
        form = IN_FORM[self.form]
        if self.is_array and self.form != "text":
            form = f"'{{' || array_to_string(array(select {form.replace('{v}', 'e')} from unnest(v) e), ',', 'NULL') || '}}'"
        cursor = self.judge.execute(
            f"select v, {form.replace('{v}', 'v')} from (select i::{self.type_name} v from unnest(%s::text[]) i"
            f" where pg_input_is_valid(i, %s) offset 0) given",
            [list(values), self.type_name],
        )
        result = cursor.pgresult
        assert result is not None
        return [(result.get_value(n, 0) or b"", result.get_value(n, 1) or b"") for n in range(result.ntuples)]
