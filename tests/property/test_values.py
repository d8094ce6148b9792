"""PostgreSQL is the judge of values: what it prints is loaded into DuckDB, rendered back, and must be the same text.

Known gaps, each by a named rule and each proved below:

- timestamps beyond 294247-01-10 04:00:54.775806 (PostgreSQL ends in 294276), infinite intervals, and NaN in a numeric with
  precision are refused (`unrepresentable`);
- arrays of several dimensions, or with a lower bound other than 1, are refused by `arrays = "list"`; `"json"` takes the former;
- real and double come back as the same number, and are compared as 17 digits (`cdc.digest`), since DuckDB prints others;
- numerics without precision under `unconstrained_numeric = "decimal(p,s)"` forget with how many zeros they were written, and
  are refused if they have more digits.

More examples: CDC_EXAMPLES=1000 pytest tests/property/test_values.py. A failure prints the example and how to repeat it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.errors import ValueRefused
from cdc.fold import Merge
from cdc.interfaces import Checkpoint
from cdc.pgtypes import ENUM, TypeFact, logical_type
from cdc.schema import Column, LogicalType, Table
from cdc.source.connect import SESSION
from connectors import duckdb
from connectors.duckdb.catalog import read_plan
from connectors.duckdb.names import Names
from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.fixtures.postgres import PostgresServer, Start
from tests.property.values import ARRAYS, SCALARS, Case, array_texts, is_refused

EXAMPLES = int(os.environ.get("CDC_EXAMPLES", "8"))
DIGITS = "ltrim(to_char(({v})::float8, '9.9999999999999999EEEE'))"
FLOAT = f"case when {{v}}::text in ('NaN', 'Infinity', '-Infinity') then {{v}}::text else {DIGITS} end"
IN_FORM = {"text": "{v}", "float": FLOAT, "number": "trim_scale({v})"}
quickly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def judge(start_postgres: Start) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    server: PostgresServer = start_postgres(18)
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    with psycopg.connect(server.dsn("postgres"), autocommit=True, options=options) as connection:
        connection.execute("create schema values_test; set search_path = values_test, pg_catalog")
        connection.execute("create type mood as enum ('', 'so so', 'NULL', 'happy,\"{}')")
        yield connection
        connection.execute("drop schema values_test cascade")


class Trial:
    """One type, from PostgreSQL's text into a table of DuckDB's and back."""

    def __init__(self, judge: psycopg.Connection[tuple[object, ...]], type_name: str, **rules: str) -> None:
        self.judge = judge
        self.type_name = type_name
        self.settings = duckdb.Settings(path=":memory:", **rules)  # type: ignore[arg-type]
        self.warehouse: DuckDBWarehouse = duckdb.connect(self.settings, "trial")
        column = Column("v", self._logical(), type_name=type_name)
        self.table = Table("public", "t", (Column("id", LogicalType("int8")), column), primary_key=(0,))
        self.warehouse.evolve(self.table)
        self.warehouse.commit(Checkpoint())
        with self.warehouse.cursor() as cursor:
            plan = read_plan(Names(cursor, self.warehouse.database), self.table, self.settings)
        assert plan is not None
        self.kept_as = plan.columns[1]

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
        form = IN_FORM[self.kept_as.form]
        if self.kept_as.array and self.kept_as.form != "text":
            form = f"'{{' || array_to_string(array(select {form.replace('{v}', 'e')} from unnest(v) e), ',', 'NULL') || '}}'"
        cursor = self.judge.execute(
            f"select v, {form.replace('{v}', 'v')} from (select i::{self.type_name} v from unnest(%s::text[]) i"
            f" where pg_input_is_valid(i, %s) offset 0) given",
            [list(values), self.type_name],
        )
        result = cursor.pgresult
        assert result is not None
        return [(result.get_value(n, 0) or b"", result.get_value(n, 1) or b"") for n in range(result.ntuples)]

    def kept(self, texts: Sequence[bytes]) -> list[bytes]:
        """What DuckDB gives back for these texts; raises ValueRefused."""
        self.warehouse.evolve(self.table)
        rows = [(b"%d" % n, text) for n, text in enumerate(texts)]
        self.warehouse.apply(Merge(self.table, truncate=True, upserts=[*rows, (b"-1", None)]))
        self.warehouse.commit(Checkpoint())
        with self.warehouse.cursor() as cursor:
            text = self.kept_as.text_of('"v"')
            null, *found = cursor.execute(f"SELECT {text} FROM public.t ORDER BY id").fetchall()
        assert null == (None,)
        return [each.encode() for (each,) in found]

    def run(self, values: Sequence[str]) -> None:
        """Everything comes back, but for what must be refused, and is."""
        printed = self.printed(values)
        refused = [text for text, _ in printed if is_refused(self.table.columns[1].type, text, self.settings)]
        fine = [pair for pair in printed if pair[0] not in refused]
        assert self.kept([text for text, _ in fine]) == [form for _, form in fine]
        for text in refused:
            with pytest.raises(ValueRefused) as raised:
                self.kept([text])
            assert raised.value.rule in ("unrepresentable", "arrays")
            assert "public.t.v" in str(raised.value)


@pytest.mark.parametrize("case", SCALARS, ids=lambda case: case.type_name)
def test_values_come_back(judge: psycopg.Connection[tuple[object, ...]], case: Case) -> None:
    trial = Trial(judge, case.type_name, **case.rules)
    trial.run(case.extremes)

    @quickly
    @given(st.lists(case.values, min_size=1, max_size=30))
    def run(values: list[str]) -> None:
        trial.run(values)

    run()
    trial.warehouse.close()


@pytest.mark.parametrize(("case", "rule"), ARRAYS, ids=lambda each: getattr(each, "type_name", each))
def test_arrays_come_back(judge: psycopg.Connection[tuple[object, ...]], case: Case, rule: str) -> None:
    trial = Trial(judge, f"{case.type_name}[]", **{**case.rules, "arrays": rule})

    @quickly
    @given(st.lists(array_texts(case), min_size=1, max_size=10))
    def run(values: list[str]) -> None:
        trial.run(values)

    run()
    trial.warehouse.close()
