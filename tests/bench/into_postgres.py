"""Into PostgreSQL: the orders workload beside pg_recvlogical."""

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
{target}
[http]
listen = ""
[log]
level = "warning"
"""


class Bench(Protocol):
    """What `__main__.Bench` has."""

    folder: Path
    server: EmbeddedPostgres
    scale: float

    def line(self, config: Path, until: str) -> dict[str, float]: ...


def stream(bench: Bench) -> dict[str, float]:
    """WAL → PostgreSQL beside pg_recvlogical writing to /dev/null: the same 800,000 changes, by key, with updates and deletes."""
    source, config = prepared(bench, "into")
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


def prepared(bench: Bench, name: str, kind: str = "postgres") -> tuple[psycopg.Connection[Any], Path]:
    """A source without tables, and the settings of a line from it into an empty target."""
    with psycopg.connect(bench.server.dsn("postgres"), autocommit=True) as admin:
        for database in (f"{name}_source", f"{name}_target"):
            admin.execute(f"create database {database}".encode())
    source = bench.server.dsn(f"{name}_source")
    path = bench.folder / f"{name}.toml"
    place = (
        f'dsn = "{bench.server.dsn(f"{name}_target")}"' if kind == "postgres" else f'path = "{path}.duckdb"'
    )
    target = f'kind = "{kind}"\n{place}'
    path.write_text(CONFIG.format(name=name, source=source, target=target))
    return psycopg.connect(source, autocommit=True), path


def _one(connection: psycopg.Connection[Any], query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])
