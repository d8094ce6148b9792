"""The contract of warehouses, put to each of ours: one class per kind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.config import SourceSettings
from cdc.events import Row
from cdc.interfaces import Warehouse
from cdc.schema import LogicalType, Table
from cdc.source.connect import connect
from cdc.testing.contract import WarehouseContract
from cdc.testing.contract_copies import CopiesContract
from cdc.testing.contract_rows import RowsContract
from cdc.testing.memory import MemoryWarehouse, Store
from cdc.testing.targets import Target
from connectors import duckdb, postgres, snowflake, sqlalchemy
from connectors.duckdb.catalog import read_plan
from connectors.duckdb.names import Names
from connectors.duckdb.warehouse import DuckDBWarehouse
from connectors.postgres.warehouse import PostgresWarehouse
from connectors.snowflake.view import SnowflakeView
from connectors.sql import qualified, quote
from connectors.sqlalchemy.view import SQLView
from tests.fixtures.mariadb import MariaDB
from tests.fixtures.postgres import Database
from tests.fixtures.snowflake import Account


class MemoryTarget(Target):
    """Refuses no value: it keeps texts."""

    def __init__(self) -> None:
        self.store = Store()

    def open(self) -> Warehouse:
        return MemoryWarehouse(self.store)

    def rows(self, warehouse: Warehouse, table: Table) -> Sequence[Row]:
        stored = self.store.tables[table.full_name]
        return [tuple(row[name] for name in table.column_names) for row in stored.rows.values()]


class DuckDBTarget(Target):
    """Read back as text, through the inverse of what loaded it."""

    refused = (LogicalType("numeric", precision=5, scale=2), b"1.2345")

    def __init__(self, folder: Path) -> None:
        self.settings = duckdb.Settings(path=str(folder / "warehouse.duckdb"))

    def open(self) -> Warehouse:
        return duckdb.connect(self.settings, "contract")

    def rows(self, warehouse: Warehouse, table: Table) -> Sequence[Row]:
        assert isinstance(warehouse, DuckDBWarehouse)
        with warehouse.cursor() as cursor:
            plan = read_plan(Names(cursor, warehouse.database), table, self.settings)
            assert plan is not None
            texts = [c.text_of(quote(name)) for c, name in zip(plan.columns, table.column_names, strict=True)]
            found = cursor.execute(f"SELECT {', '.join(texts)} FROM {plan.target}").fetchall()
        return [tuple(None if text is None else text.encode() for text in row) for row in found]


class PostgresTarget(Target):
    """Read by a session of its own, as the server prints values."""

    refused = (LogicalType("int4"), b"12345678901")

    def __init__(self, database: Database) -> None:
        self.database = database
        self.settings = postgres.Settings(dsn=database.dsn, lock_timeout=5)

    def open(self) -> Warehouse:
        return postgres.connect(self.settings, "contract")

    def rows(self, warehouse: Warehouse, table: Table) -> Sequence[Row]:
        assert isinstance(warehouse, PostgresWarehouse)
        names = ", ".join(map(quote, table.column_names))
        query = f"select {names} from {qualified(table.schema, table.name)}"
        with connect(SourceSettings(dsn=self.settings.dsn)) as session:
            found = session.execute(query.encode()).pgresult
        assert found
        return [[found.get_value(n, i) for i in range(found.nfields)] for n in range(found.ntuples)]


class SQLAlchemyTarget(Target):
    """Read back as `cdc verify` reads it."""

    def __init__(self, url: str) -> None:
        self.settings = sqlalchemy.Settings(url=url, lock_timeout=1)
        self.one_writer = url.startswith("sqlite")
        # SQLite refuses no value: what its types cannot hold is text.
        self.refused = None if self.one_writer else (LogicalType("numeric", precision=5, scale=2), b"1.2345")

    def open(self) -> Warehouse:
        return sqlalchemy.connect(self.settings, "contract")

    def rows(self, warehouse: Warehouse, table: Table) -> Sequence[Row]:
        with closing(warehouse.view()) as view:
            assert isinstance(view, SQLView)
            return list(view.texts(replace(table, live="")))


class SnowflakeTarget(Target):
    """Read back as `cdc verify` reads it."""

    refused = (LogicalType("numeric", precision=5, scale=2), b"1.2345")
    steps = 8
    unnameable = frozenset(
        ('quo"te', "'", ".")
    )  # as schemas, fakesnow writes them into statements of its own unquoted

    def __init__(self, account: Account) -> None:
        self.settings = account.settings()

    def open(self) -> Warehouse:
        return snowflake.connect(self.settings, "contract")

    def rows(self, warehouse: Warehouse, table: Table) -> Sequence[Row]:
        with closing(warehouse.view()) as view:
            assert isinstance(view, SnowflakeView)
            return list(view.texts(replace(table, live="")))


class TestMemory(WarehouseContract):
    @pytest.fixture
    def target(self) -> Target:
        return MemoryTarget()


class TestDuckDB(WarehouseContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        return DuckDBTarget(tmp_path)


class TestPostgres(WarehouseContract):
    @pytest.fixture
    def target(self, database: Database) -> Target:
        return PostgresTarget(database)


class TestOlderPostgres(RowsContract, CopiesContract):
    """What a version could change is in the statements over rows."""

    @pytest.fixture
    def target(self, database15: Database) -> Target:
        return PostgresTarget(database15)


class TestSQLite(WarehouseContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        return SQLAlchemyTarget(f"sqlite:///{tmp_path / 'warehouse.db'}")


class TestMariaDB(WarehouseContract):
    @pytest.fixture
    def target(self, mariadb: MariaDB) -> Target:
        return SQLAlchemyTarget(mariadb.url)


class TestSnowflake(WarehouseContract):
    """On a server that speaks Snowflake's protocol (tests/fixtures/snowflake.py)."""

    @pytest.fixture
    def target(self, snowflake_account: Account) -> Target:
        return SnowflakeTarget(snowflake_account)
