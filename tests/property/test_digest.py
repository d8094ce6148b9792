"""PostgreSQL and DuckDB, each in its own SQL, say the same of the same rows, and something else of others.

More examples: CDC_EXAMPLES=1000 pytest tests/property/test_digest.py.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from cdc.compare import compare
from cdc.digest import BUCKETS, describe_key
from cdc.events import Chunk, Control
from cdc.fold import Merge
from cdc.interfaces import Checkpoint, Hashed, View
from cdc.lsn import START
from cdc.schema import Table
from cdc.source.catalog import Catalog
from cdc.source.connect import SESSION
from cdc.source.digest import ARGUMENTS, SourceDigests
from connectors import duckdb
from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.fixtures.postgres import Start
from tests.property.values import SCALARS, Case, array_texts, is_refused, words

EXAMPLES = int(os.environ.get("CDC_EXAMPLES", "6"))
EVERY_KEY = "g"
quickly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
ELEMENTS = [
    case
    for case in SCALARS
    if case.type_name in ("bool", "int4", "float4", "numeric", "text", "char(5)", "date")
]
numbers = itertools.count(1)
Connection = psycopg.Connection[tuple[object, ...]]


def connect(start_postgres: Start, version: int, encoding: str = "UTF8") -> Iterator[Connection]:
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    with psycopg.connect(start_postgres(version).dsn("postgres"), autocommit=True) as admin:
        name = f"digest_{next(numbers)}"
        made = f"create database {name} encoding '{encoding}' template template0 lc_collate 'C' lc_ctype 'C'"
        admin.execute(made.encode())
        dsn = start_postgres(version).dsn(name)
        with psycopg.connect(dsn, autocommit=True, options=options, client_encoding="UTF8") as connection:
            connection.execute("create schema s; set search_path = s, pg_catalog")
            connection.execute("create type mood as enum ('', 'so so', 'NULL', 'happy,\"{}')")
            yield connection
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(scope="module", params=[15, 16, 18])
def every_source(start_postgres: Start, request: pytest.FixtureRequest) -> Iterator[Connection]:
    yield from connect(start_postgres, request.param)


@pytest.fixture(scope="module")
def source(start_postgres: Start) -> Iterator[Connection]:
    yield from connect(start_postgres, 18)


@pytest.fixture(scope="module")
def latin1(start_postgres: Start) -> Iterator[Connection]:
    yield from connect(start_postgres, 16, "LATIN1")


class Pair:
    """A table on both sides; made with columns as in SQL."""

    def __init__(self, source: Connection, columns: str, **rules: str) -> None:
        self.source = source
        self.source.execute(f"drop table if exists t; create table t ({columns})".encode())
        self.table = Catalog(source).table("s", "t")
        self.settings = duckdb.Settings(path=":memory:", **rules)  # type: ignore[arg-type]
        self.warehouse: DuckDBWarehouse = duckdb.connect(self.settings, "target")

    def copy(self) -> None:
        """The target gets what the source has."""
        with self.source.cursor() as cursor, cursor.copy("copy t to stdout (format csv)") as copy:
            lines = [bytes(line) for line in copy]
        chunk = Chunk(self.table, b"".join(lines), len(lines), START, Control("", b""), first=True, last=True)
        self.warehouse.evolve(self.table)
        self.warehouse.apply(Merge(self.table, truncate=True, chunk=chunk))
        self.warehouse.commit(Checkpoint())

    def sides(self) -> tuple[SourceDigests, View, Table]:
        view = self.warehouse.view()
        forms = view.forms(self.table)
        assert forms is not None
        return SourceDigests(self.source, self.table, sql.SQL("only s.t"), forms), view, self.table

    def check_equal(self) -> None:
        """Row by row, and in sum."""
        ours, view, table = self.sides()
        buckets = range(BUCKETS)
        assert list(ours.hashes(buckets, EVERY_KEY)) == list(view.hashes(table, buckets, EVERY_KEY))
        assert ours.digests() == view.digests(table)
        view.close()

    def insert(self, values: Sequence[str], type_name: str) -> None:
        """Those of the values that PostgreSQL takes and the target's rules allow; and NULL."""
        self.source.execute("truncate t")
        self.source.execute(
            f"insert into t select n, v::{type_name} from unnest(%s::text[]) with ordinality u (v, n)"
            " where pg_input_is_valid(v, %s)".encode(),
            [list(values), type_name],
        )
        self.source.execute("insert into t values (-1, null)")
        with self.source.cursor() as cursor:
            result = cursor.execute("select id, v from t where v is distinct from null").pgresult
        assert result is not None
        rows = [(result.get_value(n, 0), result.get_value(n, 1) or b"") for n in range(result.ntuples)]
        kind = self.table.columns[1].type
        refused = [int(number or 0) for number, text in rows if is_refused(kind, text, self.settings)]
        self.source.execute("delete from t where id = any(%s)", [refused])


def run_case(
    source: Connection, case: Case, type_name: str, values: st.SearchStrategy[str], **rules: str
) -> None:
    pair = Pair(source, f"id int primary key, v {type_name}", **{**case.rules, **rules})

    @quickly
    @example(list(case.extremes if type_name == case.type_name else ()))
    @given(st.lists(values, min_size=1, max_size=20))
    def run(given: list[str]) -> None:
        pair.insert(given, type_name)
        pair.copy()
        pair.check_equal()

    run()
    pair.warehouse.close()


def test_extremes_of_all_types_in_one_row(every_source: Connection) -> None:
    cases = [case for case in SCALARS if not case.rules]
    columns = [f"c{number} {case.type_name}" for number, case in enumerate(cases)]
    pair = Pair(every_source, "id int primary key, " + ", ".join(columns))
    assert len(cases) > ARGUMENTS / 2  # more than one call of concat can take
    for row in range(max(len(case.extremes) for case in cases)):
        every_source.execute("insert into t values (%s)", [row])
        for number, case in enumerate(cases):
            for value in case.extremes[row : row + 1]:
                with contextlib.suppress(psycopg.Error):
                    update = (
                        f"update t set c{number} = %s::{case.type_name} where id = %s returning c{number}"
                    )
                    result = every_source.execute(update.encode(), [value, row]).pgresult
                    kind = pair.table.columns[number + 1].type
                    if result and is_refused(kind, result.get_value(0, 0) or b"", pair.settings):
                        every_source.execute(f"update t set c{number} = null where id = %s".encode(), [row])
    pair.copy()
    pair.check_equal()


@pytest.mark.parametrize("case", SCALARS, ids=lambda case: case.type_name)
def test_values_of_every_type_are_equal(source: Connection, case: Case) -> None:
    run_case(source, case, case.type_name, case.values)


@pytest.mark.parametrize("rule", ["list", "json", "text"])
@pytest.mark.parametrize("case", ELEMENTS, ids=lambda case: case.type_name)
def test_arrays_are_equal(source: Connection, case: Case, rule: str) -> None:
    run_case(source, case, f"{case.type_name}[]", array_texts(case), arrays=rule)


@pytest.mark.parametrize("type_name", ["text", "char(5)", "jsonb", "text[]"])
def test_a_database_that_is_not_utf8(latin1: Connection, type_name: str) -> None:
    pair = Pair(latin1, f"id int, v {type_name}, w text, primary key (id, w)")
    value = {"jsonb": '{"ä": "é"}', "text[]": "{ä,é}"}.get(type_name, "äé")
    latin1.execute(f"insert into t values (1, %s::{type_name}, 'ß'), (2, null, '')".encode(), [value])
    pair.copy()
    pair.check_equal()


cells = st.one_of(st.none(), st.sampled_from(["", ":", "1:a", ";", "a"]), words)
Rows = list[tuple[str | None, str | None]]
rows = st.lists(st.tuples(cells, cells), max_size=8)


@pytest.fixture(scope="module")
def keyless(source: Connection) -> Pair:
    return Pair(source, "a text, b text")


@settings(max_examples=4 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(common=rows, only_source=rows, only_target=rows)
def test_digests_agree_if_and_only_if_the_rows_do(
    keyless: Pair, common: Rows, only_source: Rows, only_target: Rows
) -> None:
    source = keyless.source
    source.execute("drop table t; create table t (a text, b text)")
    keyless.table = Catalog(source).table("s", "t")
    insert = "insert into t values (%s, %s)"
    source.cursor().executemany(insert, common + only_target)
    keyless.copy()
    source.execute("truncate t")
    source.cursor().executemany(insert, only_source + common)
    ours, view, table = keyless.sides()
    left, right = Counter(common + only_source), Counter(common + only_target)
    assert (ours.digests() == view.digests(table)) == (left == right)
    mine, theirs = ours.digests(), view.digests(table)
    buckets = [bucket for bucket in range(BUCKETS) if mine.get(bucket) != theirs.get(bucket)]
    found = compare(ours.hashes(buckets, EVERY_KEY), view.hashes(table, buckets, EVERY_KEY), 100)
    assert (found.missing, found.unexpected, found.different) == (
        (left - right).total(),
        (right - left).total(),
        0,
    )
    told = {describe_key(table, key) for key in found.missing_keys}
    assert told == {
        f"(a={'NULL' if a is None else a}, b={'NULL' if b is None else b})" for a, b in left - right
    }
    view.close()


def test_order_of_both_sides_is_that_of_the_merge(source: Connection) -> None:
    pair = Pair(source, "id bigint primary key, v text")
    source.execute("insert into t select g, g from generate_series(1, 5000) g")
    pair.copy()
    ours, view, table = pair.sides()
    for below in ("8", "00", EVERY_KEY):
        mine: list[Hashed] = list(ours.hashes(range(0, BUCKETS, 2), below))
        assert mine == sorted(mine)
        assert mine == list(view.hashes(table, range(0, BUCKETS, 2), below))
        assert all(row.key_hash < below for row in mine)
    view.close()
