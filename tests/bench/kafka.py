"""Kafka's measurements: ours beside the real Debezium on one broker, with the same changes and the same form of records.

Debezium is tuned (batches of 16,384, a queue of 65,536, 256 KiB producer batches, lz4) and warm: another connector has run in its
JVM before. Rates are taken between the first and the last record, or commit, so nobody's start counts.
"""

from __future__ import annotations

from tests.bench import orders
from tests.bench.stage import Bench, Stage, cpu_of, peak_of

LIKE_DEBEZIUM = 'compat = "debezium"\nextended_headers_enabled = true\nschemas_enable = {schemas}'


def to_kafka(bench: Bench) -> dict[str, float]:
    """WAL → Kafka beside Debezium 3.6.0: the same 800,000 changes, as 850,000 of the same records."""
    with Stage(bench, "wal", source_too=True) as stage:
        for slot in ("warm", "debezium", "ours"):
            stage.slot(slot)
        orders.change(stage.connection, int(50_000 * bench.scale))
        with stage.connector("warm"):
            stage.await_records("warm", 1)
            stage.await_records("warm", _records(int(50_000 * bench.scale)))
        stage.forget("debezium", "ours")
        changed = int(500_000 * bench.scale)
        orders.change(stage.connection, changed, first=int(50_000 * bench.scale))
        before = cpu_of(stage.connect.pid)
        with stage.connector("debezium"):
            theirs = stage.await_records("debezium", _records(changed))
        their_cpu, their_rss = cpu_of(stage.connect.pid) - before, peak_of(stage.connect.pid)
        form = LIKE_DEBEZIUM.format(schemas="false")
        config = stage.config("ours", form, 'kind = "duckdb"\npath = "unused.duckdb"')
        with stage.cdc("read", config) as process:
            ours = stage.await_records("ours", _records(changed))
            cpu, rss = cpu_of(process.pid), peak_of(process.pid)
    return {
        "records": _records(changed), "Debezium records/s": theirs, "cdc records/s": ours, "ratio (goal 2)": ours / theirs,
        "Debezium CPU s": their_cpu, "cdc CPU s": cpu, "CPU ratio (goal 0.25)": cpu / their_cpu,
        "Debezium RSS MB": their_rss, "cdc RSS MB": rss, "RSS ratio (goal 0.1)": rss / their_rss,
    }  # fmt: skip


def from_kafka(bench: Bench) -> dict[str, float]:
    """Kafka → DuckDB and Kafka → PostgreSQL beside Debezium's JDBC sink 3.5.0, which fills PostgreSQL."""
    with Stage(bench, "sink", source_too=False) as stage:
        stage.slot("plain")
        stage.slot("schemas")
        changed = int(250_000 * bench.scale)
        orders.change(stage.connection, changed)
        forms = {"plain": "", "schemas": LIKE_DEBEZIUM.format(schemas="true")}
        for prefix, form in forms.items():
            with stage.cdc("read", stage.config(prefix, form, 'kind = "duckdb"\npath = "unused.duckdb"')):
                stage.await_records(prefix, _records(changed))
        rates = {}
        for kind in ("duckdb", "postgres"):
            path = bench.folder / "target.duckdb"
            target = f'path = "{path}"' if kind == "duckdb" else f'dsn = "{stage.target(f"to_{kind}")}"'
            config = stage.config("plain", "", f'kind = "{kind}"\n{target}', group=kind)
            with stage.cdc("apply", config):
                rates[kind] = stage.await_applied(f"{kind}-local", "plain")
        with stage.sink("schemas"):
            peer = stage.await_applied("connect-sink", "schemas")
    return {
        "records": _records(changed), "JDBC sink records/s": peer,
        "cdc to DuckDB records/s": rates["duckdb"], "ratio (goal 8)": rates["duckdb"] / peer,
        "cdc to PostgreSQL records/s": rates["postgres"], "ratio, PostgreSQL (goal 4)": rates["postgres"] / peer,
    }  # fmt: skip


def _records(rows: int) -> int:
    """A delete has a tombstone."""
    return rows + rows // 2 + 2 * (rows // 10)
