"""Every text that PostgreSQL prints comes back from a PostgreSQL target as it was: by arrays, by COPY and in a chunk's CSV.

More examples: CDC_EXAMPLES=1000 pytest tests/property/test_values_postgres.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.fold import Merge
from cdc.schema import Column, Table
from cdc.source.connect import SESSION
from cdc.testing.targets import ID, checkpoint, chunk
from connectors import postgres
from connectors.postgres import merging
from connectors.postgres.warehouse import PostgresWarehouse
from tests.fixtures.postgres import PostgresServer, Start, fresh_database
from tests.property.trials import quickly
from tests.property.values import SCALARS, array_texts

CASES = list({case.type_name: case for case in SCALARS}.values())
NAMES = [case.type_name for case in CASES] + [f"{case.type_name}[]" for case in CASES]
VALUES = st.tuples(
    *[st.one_of(case.values, st.sampled_from(case.extremes or ("",))) for case in CASES],
    *[array_texts(case) for case in CASES],
)


@pytest.fixture(scope="module")
def server(start_postgres: Start) -> PostgresServer:
    return start_postgres(18)


@pytest.fixture(scope="module")
def judge(server: PostgresServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The source and the target are one database: a value is printed by the one and read by the other."""
    with fresh_database(server) as database:
        options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
        with psycopg.connect(database.dsn, autocommit=True, options=options) as connection:
            connection.execute("create type public.mood as enum ('', 'so so', 'NULL', 'happy,\"{}')")
            connection.execute("set search_path = pg_catalog, public")
            yield connection


@pytest.fixture(scope="module")
def warehouse(judge: psycopg.Connection[tuple[object, ...]]) -> Iterator[PostgresWarehouse]:
    info = judge.info
    dsn = psycopg.conninfo.make_conninfo(
        host=info.host, port=info.port, user=info.user, password=info.password, dbname=info.dbname
    )
    warehouse = postgres.connect(postgres.Settings(dsn=dsn), "judged")
    yield warehouse
    warehouse.close()


def printed(
    judge: psycopg.Connection[tuple[object, ...]], texts: tuple[str, ...]
) -> tuple[bytes | None, ...]:
    """PostgreSQL's texts of those that it takes, NULL for the others."""
    found = []
    for name, text in zip(NAMES, texts, strict=True):
        cell = None
        with contextlib.suppress(psycopg.Error):
            result = judge.execute(f"select %s::text::{name}".encode(), [text]).pgresult
            assert result
            cell = result.get_value(0, 0)
        found.append(cell)
    return tuple(found)


def shape(judge: psycopg.Connection[tuple[object, ...]]) -> Table:
    judge.execute(
        f"create temp table if not exists shape ({', '.join(f'c{i} {name}' for i, name in enumerate(NAMES))})".encode()
    )
    columns = judge.execute(
        "select attname::text, format_type(atttypid, atttypmod), atttypmod from pg_attribute"
        " where attrelid = 'shape'::regclass and attnum > 0 order by attnum"
    ).fetchall()
    kinds = [
        Column(str(name), ID.type, type_name=str(kind), typmod=int(str(mod))) for name, kind, mod in columns
    ]
    return Table("public", "judged", (ID, *kinds), primary_key=(0,), identity=(0,))


def as_csv(row: tuple[bytes | None, ...]) -> str:
    return (
        ",".join("" if cell is None else f'"{cell.decode().replace(chr(34), chr(34) * 2)}"' for cell in row)
        + "\n"
    )


@quickly
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_every_text_comes_back(
    judge: psycopg.Connection[tuple[object, ...]],
    warehouse: PostgresWarehouse,
    values: list[tuple[str, ...]],
) -> None:
    table = shape(judge)
    rows = [(b"%d" % n, *printed(judge, each)) for n, each in enumerate(values)]
    for way in ("arrays", "copy", "csv"):
        merge = Merge(table, truncate=True, upserts=rows)
        if way == "csv":
            merge = chunk(table, "".join(map(as_csv, rows)), len(rows), first=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merging, "MANY", 0 if way == "copy" else 1 << 30)
            warehouse.evolve(table)
            warehouse.apply(merge)
            warehouse.commit(checkpoint(1))
        result = judge.execute("select * from public.judged order by id").pgresult
        assert result
        found = [tuple(result.get_value(n, i) for i in range(result.nfields)) for n in range(result.ntuples)]
        assert found == rows, way
