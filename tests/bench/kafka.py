"""Kafka's measurements: ours beside the real Debezium on one broker, with the same changes and the same options of format.

Debezium is tuned (batches of 16,384, a queue of 65,536, 256 KiB producer batches, lz4) and warm: another connector has run in its
JVM before. Rates and CPU are taken between the first and the last record, or commit, so nobody's start counts.
"""

from __future__ import annotations

from tests.bench import orders
from tests.bench.stage import Bench, Stage, peak_of

LIKE_OURS = {
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "extended.headers.enabled": "false",
}
SNAPSHOT = {"snapshot.mode": "initial", "snapshot.fetch.size": "20000"}
WITH_SCHEMAS = 'compat = "debezium"\nschemas_enable = true'


def to_kafka(bench: Bench) -> dict[str, float]:
    """WAL → Kafka beside Debezium 3.6.0: the same 800,000 changes, as 850,000 records of the same form."""
    with Stage(bench, "wal", source_too=True) as stage:
        for slot in ("warm", "debezium", "ours"):
            stage.slot(slot)
        warm = int(100_000 * bench.scale)
        orders.change(stage.connection, warm)
        with stage.connector("warm", LIKE_OURS):
            stage.await_records("warm", records(warm))
        stage.forget("debezium", "ours")
        changed = int(500_000 * bench.scale)
        orders.change(stage.connection, changed, first=warm)
        with stage.connector("debezium", LIKE_OURS):
            theirs = stage.await_records("debezium", records(changed), stage.connect.pid)
            their_rss = peak_of(stage.connect.pid)
        config = stage.config("ours", "", 'kind = "duckdb"\npath = "unused.duckdb"')
        with stage.cdc("read", config) as process:
            ours = stage.await_records("ours", records(changed), process.pid)
            rss = peak_of(process.pid)
    return {
        "records": records(changed),
        "Debezium records/s": theirs.rate, "cdc records/s": ours.rate, "ratio (goal 2)": ours.rate / theirs.rate,
        "Debezium CPU s": theirs.cpu, "cdc CPU s": ours.cpu, "CPU ratio (goal 0.25)": ours.cpu / theirs.cpu,
        "Debezium RSS MB": their_rss, "cdc RSS MB": rss, "RSS ratio (goal 0.1)": rss / their_rss,
    }  # fmt: skip


def copied(bench: Bench) -> dict[str, float]:
    """Snapshot → Kafka beside Debezium 3.6.0: the same 2,000,000 rows, as records of the same form."""
    with Stage(bench, "copied", source_too=True) as stage:
        rows = int(2_000_000 * bench.scale)
        warm = max(rows // 20, 20_000)
        orders.insert(stage.connection, warm, warm)
        with stage.connector("warm", {**LIKE_OURS, **SNAPSHOT}):
            stage.await_records("warm", warm)
        orders.insert(stage.connection, rows - warm, rows - warm, first=warm)
        stage.connection.execute("vacuum analyze orders")
        with stage.connector("debezium", {**LIKE_OURS, **SNAPSHOT}):
            theirs = stage.await_records("debezium", rows, stage.connect.pid)
            their_rss = peak_of(stage.connect.pid)
        config = stage.config("ours", "", 'kind = "duckdb"\npath = "unused.duckdb"', mode="initial")
        with stage.cdc("read", config) as process:
            ours = stage.await_records("ours", rows, process.pid)
            rss = peak_of(process.pid)
    return {
        "rows": rows,
        "Debezium rows/s": theirs.rate, "cdc rows/s": ours.rate, "ratio (goal 3)": ours.rate / theirs.rate,
        "Debezium CPU s": theirs.cpu, "cdc CPU s": ours.cpu, "CPU ratio": ours.cpu / theirs.cpu,
        "Debezium RSS MB": their_rss, "cdc RSS MB (goal 400)": rss,
    }  # fmt: skip


def from_kafka(bench: Bench) -> dict[str, float]:
    """Kafka → DuckDB and Kafka → PostgreSQL beside Debezium's JDBC sink 3.5.0, which fills PostgreSQL."""
    with Stage(bench, "sink", source_too=False) as stage:
        stage.slot("plain")
        stage.slot("schemas")
        changed = int(250_000 * bench.scale)
        orders.change(stage.connection, changed)
        forms = {"plain": "", "schemas": WITH_SCHEMAS}
        for prefix, form in forms.items():
            with stage.cdc("read", stage.config(prefix, form, 'kind = "duckdb"\npath = "unused.duckdb"')):
                stage.await_records(prefix, records(changed))
        rates = {}
        for kind in ("duckdb", "postgres"):
            path = bench.folder / "target.duckdb"
            target = f'path = "{path}"' if kind == "duckdb" else f'dsn = "{stage.target(f"to_{kind}")}"'
            config = stage.config("plain", "", f'kind = "{kind}"\n{target}', group=kind)
            with stage.cdc("apply", config):
                rates[kind] = stage.await_applied(f"{kind}-local", "plain").rate
        with stage.sink("schemas"):
            peer = stage.await_applied("connect-sink", "schemas").rate
    return {
        "records": records(changed), "JDBC sink records/s": peer,
        "cdc to DuckDB records/s": rates["duckdb"], "ratio (goal 8)": rates["duckdb"] / peer,
        "cdc to PostgreSQL records/s": rates["postgres"], "ratio, PostgreSQL (goal 4)": rates["postgres"] / peer,
    }  # fmt: skip


def records(rows: int) -> int:
    """A delete has a tombstone."""
    return rows + rows // 2 + 2 * (rows // 10)
