"""Into PostgreSQL: the orders workload beside pg_recvlogical, and a thousand tables beside one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

import psycopg

from cdc.embedded import EmbeddedPostgres
from tests.bench import orders

CONFIG = """
[source]
dsn = "{source}"
slot = "{name}"
[snapshot]
mode = "no_data"
[warehouses.local]
kind = "postgres"
dsn = "{target}"
[http]
listen = ""
[log]
level = "warning"
"""
SPREAD = """
    do $$ begin for i in 1..{tables} loop
        execute format('insert into t%s select g, g %% 1000, g / 100.0, ''new'', ''note '' || g, now()
            from generate_series({first}, {last}) g', i);
        execute format('update t%s set status = ''paid'' where id between {first} and {last} and id %% 2 = 0', i);
    end loop; end $$
"""
TABLES, ROWS = 1000, 50  # rows of each table in a transaction


class Bench(Protocol):
    """What `__main__.Bench` has."""

    folder: Path
    server: EmbeddedPostgres
    scale: float

    def line(self, config: Path, until: str) -> dict[str, float]: ...


def stream(bench: Bench) -> dict[str, float]:
    """WAL → PostgreSQL beside pg_recvlogical writing to /dev/null: the same 800,000 changes, by key, with updates and deletes."""
    source, config = _prepared(bench, "into")
    orders.create(source)
    bench.line(config, "copied")
    source.execute("select pg_create_logical_replication_slot('peer_into', 'pgoutput')")
    changes = orders.change(source, int(500_000 * bench.scale))
    end = _one(source, "select pg_current_wal_insert_lsn()")
    source.execute("select pg_logical_emit_message(true, 'end', '')")
    begun = time.monotonic()
    subprocess.run(
        [bench.server.bin("pg_recvlogical"), "-d", bench.server.dsn("into_source"), "--slot", "peer_into", "--start", "-o",
         "proto_version=1", "-o", "publication_names=cdc", "-f", "/dev/null", "--endpos", end, "--no-loop"],
        check=True,
    )  # fmt: skip
    peer = changes / (time.monotonic() - begun)
    cost = bench.line(config, "caught_up")
    rate = changes / cost["stream_seconds"]
    with psycopg.connect(bench.server.dsn("into_target")) as target:
        same = "select count(*), sum(amount), count(*) filter (where status = 'paid') from orders"
        assert target.execute(same.encode()).fetchone() == source.execute(same.encode()).fetchone()
    return {
        "changes": changes, "pg_recvlogical changes/s": peer, "cdc changes/s": rate, "ratio": rate / peer,
        "cdc CPU s": cost["cpu_seconds"], "cdc RSS MB": cost["rss_mb"],
    }  # fmt: skip


def tables(bench: Bench) -> dict[str, float]:
    """WAL → PostgreSQL, the same rows spread over 1,000 tables and in one: time per change."""
    rounds = max(1, int(12 * bench.scale))
    one = _spread(bench, "one", 1, TABLES * ROWS, rounds)
    many = _spread(bench, "many", TABLES, ROWS, rounds)
    return {
        "one table, changes/s": one, "1,000 tables, changes/s": many, "time per change, ratio (goal 2)": one / many,
    }  # fmt: skip


def _spread(bench: Bench, name: str, count: int, rows: int, rounds: int) -> float:
    """Changes a second, of a daemon that has to learn of each table first."""
    source, config = _prepared(bench, name)
    columns = orders.CREATE.split("(", 1)[1].strip()
    for number in range(count):
        source.execute(f"create table t{number + 1} ({columns}".encode())
    bench.line(config, "copied")
    changes = 0
    for n in range(rounds):
        source.execute(SPREAD.format(tables=count, first=n * rows + 1, last=(n + 1) * rows).encode())
        changes += count * (rows + rows // 2)
        if n == 0:
            bench.line(config, "caught_up")  # the target's tables are made
            changes = 0
    return changes / bench.line(config, "caught_up")["stream_seconds"]


def _prepared(bench: Bench, name: str) -> tuple[psycopg.Connection[Any], Path]:
    with psycopg.connect(bench.server.dsn("postgres"), autocommit=True) as admin:
        for database in (f"{name}_source", f"{name}_target"):
            admin.execute(f"create database {database}".encode())
    source, target = bench.server.dsn(f"{name}_source"), bench.server.dsn(f"{name}_target")
    path = bench.folder / f"{name}.toml"
    path.write_text(CONFIG.format(name=name, source=source, target=target))
    return psycopg.connect(source, autocommit=True), path


def _one(connection: psycopg.Connection[Any], query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])
