"""The shop: five tables with what makes replication hard, and business on one connection."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeAlias

import psycopg

from cdc.demo import sql

Connection: TypeAlias = psycopg.Connection[Any]

EVERYDAY = {
    sql.PLACE: 40,
    sql.PAY: 20,
    sql.SHIP: 10,
    sql.PRICE: 8,
    sql.MOVE: 8,
    sql.VIEW: 6,
    sql.JOIN: 4,
    sql.CANCEL: 4,
}


class Shop:
    """Every method is one transaction. `rows` counts committed changes of rows, but for cascades."""

    def __init__(self, connection: Connection, seed: int = 1) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._customers = self._orders = 0
        self.rows = self.transactions = 0
        self.happened: dict[str, int] = {}

    def open(
        self, customers: int = 5_000, products: int = 1_000, orders: int = 20_000, views: int = 5_000
    ) -> dict[str, int]:
        """Create the tables and fill them; tells how many rows each has."""
        stock = {"customers": customers, "products": products, "orders": orders, "views": views}
        with self._connection.transaction():
            self._connection.execute(sql.SCHEMA.encode())
            for statement in sql.STOCK:
                self._connection.execute(statement.encode(), stock)
            counted = {
                table: self._connection.execute(f"select count(*) from {table}".encode()).fetchone()
                for table in sql.TABLES
            }
        self._customers, self._orders = customers, orders
        return {table: row[0] for table, row in counted.items() if row}

    def trade(self, size: int) -> None:
        """Something ordinary, of about `size` rows."""
        (action,) = self._random.choices(list(EVERYDAY), list(EVERYDAY.values()))
        self._commit(action, size=size)
        if action is sql.PLACE:
            self._orders += size

    # What happens seldom, and is easily replicated wrongly.

    def roll_back(self) -> None:
        """Much is changed, and then it is not."""
        with self._connection.transaction(force_rollback=True):
            for statement in (sql.PLACE, sql.CANCEL, sql.RENAME, sql.TRUNCATE):
                self._execute(statement, 50)
        self._note("rolled back")

    def rewrite_manual(self) -> None:
        """A value that is kept out of line changes, for once."""
        self._commit(sql.MANUAL, sql.PRICE)
        self._note("large values rewritten")

    def rename_products(self) -> None:
        """Keys change, and with them the order lines that refer to them."""
        self._commit(sql.RENAME, sql.PRICE)
        self._note("keys changed")

    def add_column(self) -> None:
        """Between two changes of the same transaction."""
        self._commit(sql.MOVE, sql.ADD_COLUMN, sql.SPEND)
        self._note("column added")

    def truncate(self) -> None:
        """Also between two changes of the same transaction."""
        self._commit(sql.VIEW, sql.TRUNCATE, sql.VIEW)
        self._note("truncate")

    def seldom(self) -> list[Callable[[], None]]:
        """All of those."""
        return [self.roll_back, self.rewrite_manual, self.rename_products, self.add_column, self.truncate]

    def _note(self, event: str) -> None:
        self.happened[event] = self.happened.get(event, 0) + 1

    def _commit(self, *statements: str, size: int = 10) -> None:
        with self._connection.transaction():
            rows = sum(self._execute(statement, size) for statement in statements)
        self.rows += rows
        self.transactions += 1

    def _execute(self, statement: str, size: int) -> int:
        values = {
            "size": size,
            "customers": [self._random.randint(1, self._customers) for _ in range(size)],
            "orders": [self._random.randint(1, self._orders) for _ in range(size)],
        }
        used = {name: value for name, value in values.items() if f"%({name})s" in statement}
        return max(0, self._connection.execute(statement.encode(), used or None).rowcount)
