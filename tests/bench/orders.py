"""The workload of every figure: one table of six columns, 500,000 inserts, 250,000 updates, 50,000 deletes."""

from __future__ import annotations

import threading
import time

import psycopg

CREATE = """
    create table orders (id bigint primary key, customer int not null, amount numeric(10,2) not null,
                         status text not null, note text, updated timestamptz not null)
"""
INSERT = """
    insert into orders select g, g %% 1000, (g %% 10000) / 100.0, 'new', 'note ' || g, now()
    from generate_series(%s::bigint + 1, %s::bigint + %s) g
"""


def create(connection: psycopg.Connection) -> None:
    connection.execute(CREATE)


def insert(connection: psycopg.Connection, rows: int, per_transaction: int, first: int = 0) -> None:
    for start in range(first, first + rows, per_transaction):
        connection.execute(INSERT, [start, start, min(per_transaction, first + rows - start)])


def change(connection: psycopg.Connection, rows: int, per_transaction: int = 1000, first: int = 0) -> int:
    """Insert `rows` behind key `first`, update half of them, delete a tenth; returns the number of changes."""
    insert(connection, rows, per_transaction, first)
    for start in range(first, first + rows, 2 * per_transaction):
        connection.execute(
            "update orders set status = 'paid', updated = now() where id > %s and id <= %s and id %% 2 = 0",
            [start, start + 2 * per_transaction],
        )
    for start in range(first, first + rows, 10 * per_transaction):
        connection.execute(
            "delete from orders where id > %s and id <= %s and id %% 10 = 0",
            [start, start + 10 * per_transaction],
        )
    return rows + rows // 2 + rows // 10


def keep_changing(dsn: str, rows: int, over: threading.Event) -> None:
    """2,000 changes a second, in transactions of 100, all over the table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        due, turn = time.monotonic(), 0
        while not over.wait(max(0.0, due - time.monotonic())):
            due += 0.05
            turn += 1
            connection.execute(
                "update orders set status = 'paid', updated = now() where id = any (%s)",
                [[(turn * 7919 + number * 104_729) % rows + 1 for number in range(100)]],
            )
