"""`make bench`: rates, CPU and memory, each beside its peer in the same run. Figures go to the terminal, and to bench.json.

Usage: python -m tests.bench [stream|snapshot|copying|transaction|start|postgres|tables …] [--scale 1.0]
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from cdc.embedded import EmbeddedPostgres
from tests.bench import apply, into_postgres, kafka, orders, tables

CONFIG = """
[source]
dsn = "{dsn}"
slot = "{name}"
[snapshot]
mode = "{mode}"
[warehouses.local]
kind = "duckdb"
path = "{path}"
[http]
listen = ""
[log]
level = "warning"
"""
Figures = dict[str, float]
JAVA = ("kafka", "sink", "copied", "apply")
SETTINGS = {
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "512MB",
    "max_locks_per_transaction": "512",
}


class Bench:
    """One server and one folder for all measurements; each makes its own database."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, scale: float) -> None:
        self.folder, self.server, self.scale = folder, server, scale

    def database(self, name: str) -> psycopg.Connection:
        with psycopg.connect(self.server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(f"create database {name}".encode())
        connection = psycopg.connect(self.server.dsn(name), autocommit=True)
        orders.create(connection)
        return connection

    def config(self, name: str, mode: str) -> Path:
        path = self.folder / f"{name}.toml"
        warehouse = self.folder / f"{name}.duckdb"
        path.write_text(CONFIG.format(name=name, dsn=self.server.dsn(name), mode=mode, path=warehouse))
        return path

    def line(self, config: Path, until: str) -> Figures:
        command = [sys.executable, "-m", "tests.bench.run_line", str(config), until]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures

    def stream(self) -> Figures:
        """WAL → DuckDB beside pg_recvlogical writing to /dev/null: the same 800,000 changes."""
        source = self.database("stream")
        config = self.config("stream", "no_data")
        self.line(config, "copied")  # makes publication, slot and tables
        source.execute("select pg_create_logical_replication_slot('peer', 'pgoutput')")
        changes = orders.change(source, int(500_000 * self.scale))
        end = source.execute("select pg_current_wal_insert_lsn()").fetchone()[0]  # type: ignore[index]
        source.execute("select pg_logical_emit_message(true, 'end', '')")  # so that the peer reaches its end
        begun = time.monotonic()
        subprocess.run(
            [self.server.bin("pg_recvlogical"), "-d", self.server.dsn("stream"), "--slot", "peer", "--start", "-o",
             "proto_version=1", "-o", "publication_names=cdc", "-f", "/dev/null", "--endpos", end, "--no-loop"],
            check=True,
        )  # fmt: skip
        peer = changes / (time.monotonic() - begun)
        cost = self.line(config, "caught_up")
        rate = changes / cost["stream_seconds"]
        return {
            "changes": changes, "pg_recvlogical changes/s": peer, "cdc changes/s": rate, "ratio (goal 0.5)": rate / peer,
            "cdc CPU s": cost["cpu_seconds"], "cdc RSS MB": cost["rss_mb"],
        }  # fmt: skip

    def snapshot(self) -> Figures:
        """Snapshot of 2M rows into DuckDB beside raw COPY TO STDOUT."""
        source = self.database("snapshot")
        rows = int(2_000_000 * self.scale)
        orders.insert(source, rows, rows)
        source.execute("vacuum analyze orders")
        begun = time.monotonic()
        with source.cursor() as cursor, cursor.copy("copy orders to stdout") as copy:
            while copy.read():
                pass
        peer = rows / (time.monotonic() - begun)
        cost = self.line(self.config("snapshot", "initial"), "copied")
        rate = rows / cost["stream_seconds"]
        return {
            "rows": rows, "COPY rows/s": peer, "cdc rows/s": rate, "ratio (goal 0.6)": rate / peer,
            "cdc CPU s": cost["cpu_seconds"], "cdc RSS MB (goal 400)": cost["rss_mb"],
        }  # fmt: skip

    def copying(self) -> Figures:
        """A snapshot of 3M rows beside 2,000 changes a second: how far the changes are behind."""
        source = self.database("copying")
        rows = int(3_000_000 * self.scale)
        orders.insert(source, rows, rows)
        source.execute("vacuum analyze orders")
        over = threading.Event()
        writer = threading.Thread(target=orders.keep_changing, args=(self.server.dsn("copying"), rows, over))
        writer.start()
        try:
            cost = self.line(self.config("copying", "initial"), "copied")
        finally:
            over.set()
            writer.join()
        return {
            "rows": rows, "cdc rows/s": rows / cost["stream_seconds"], "lag s, p99 (goal 2)": cost["lag_p99"],
            "cdc RSS MB (goal 400)": cost["rss_mb"],
        }  # fmt: skip

    def transaction(self) -> Figures:
        """A single transaction of 5M rows: memory."""
        source = self.database("transaction")
        config = self.config("transaction", "no_data")
        self.line(config, "copied")
        rows = int(5_000_000 * self.scale)
        orders.insert(source, rows, rows)
        cost = self.line(config, "caught_up")
        return {
            "rows": rows,
            "cdc rows/s": rows / cost["stream_seconds"],
            "cdc RSS MB (goal 600)": cost["rss_mb"],
        }

    def start(self) -> Figures:
        """From `cdc run` on the command line to the first line that says it streams."""
        self.database("start").close()
        config = self.config("start", "initial")
        config.write_text(config.read_text().replace('level = "warning"', 'level = "info"'))
        first, *later = [self._time_to_stream(config) for _ in range(4)]
        return {"first start s": first, "later starts s, median (goal 1)": sorted(later)[1]}

    def _time_to_stream(self, config: Path) -> float:
        begun = time.monotonic()
        command = [sys.executable, "-m", "cdc", "run", "-c", str(config)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
            assert daemon.stderr is not None
            for line in daemon.stderr:
                if json.loads(line)["event"] == "streaming":
                    break
            else:
                raise RuntimeError("cdc run has ended before it streamed")
            took = time.monotonic() - begun
            daemon.send_signal(signal.SIGTERM)
            daemon.stderr.read()
        return took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    measures: dict[str, Callable[[Bench], Figures]] = {
        "stream": Bench.stream, "snapshot": Bench.snapshot, "copying": Bench.copying,
        "transaction": Bench.transaction, "start": Bench.start,
        "postgres": into_postgres.stream, "tables": tables.tables,
        "kafka": kafka.to_kafka, "sink": kafka.from_kafka, "copied": kafka.copied, "apply": apply.into_warehouses,
    }  # fmt: skip
    parser.add_argument(
        "measure",
        nargs="*",
        choices=[*measures, []],
        help="default: all but kafka, sink, copied and apply, which want Java",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    given = parser.parse_args()
    console, results = Console(), {}
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(settings=SETTINGS) as server:
        bench = Bench(Path(folder), server, given.scale)
        for name in given.measure or [each for each in measures if each not in JAVA]:
            results[name] = measures[name](bench)
            table = Table(title=f"{name}: {measures[name].__doc__}", title_justify="left", show_header=False)
            for label, value in results[name].items():
                table.add_row(label, f"{value:,.2f}" if value < 100 else f"{value:,.0f}")
            console.print(table)
    Path("bench.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
