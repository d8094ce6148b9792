"""A thousand tables beside one: the same changes, spread over all of them and in one, into PostgreSQL and into DuckDB."""

from __future__ import annotations

from tests.bench import orders
from tests.bench.into_postgres import Bench, prepared

SPREAD = """
    do $$ begin for i in 1..{tables} loop
        execute format('insert into t%s select g, g %% 1000, g / 100.0, ''new'', ''note '' || g, now()
            from generate_series({first}, {last}) g', i);
        execute format('update t%s set status = ''paid'' where id between {first} and {last} and id %% 2 = 0', i);
    end loop; end $$
"""
TABLES, ROWS = 1000, 50  # rows of each table in a transaction


def tables(bench: Bench) -> dict[str, float]:
    """WAL → PostgreSQL and WAL → DuckDB, the same rows spread over 1,000 tables and in one: time per change."""
    rounds = max(2, int(12 * bench.scale))
    figures = {}
    for kind in ("postgres", "duckdb"):
        one = _spread(bench, kind, "one", 1, TABLES * ROWS, rounds)
        many = _spread(bench, kind, "many", TABLES, ROWS, rounds)
        figures |= {f"{kind}: one table, changes/s": one, f"{kind}: 1,000 tables, changes/s": many}
        figures |= {f"{kind}: time per change, ratio (goal 2)": one / many}
    return figures


def _spread(bench: Bench, kind: str, name: str, count: int, rows: int, rounds: int) -> float:
    """Changes a second, of a daemon that has to learn of each table first."""
    source, config = prepared(bench, f"{name}_{kind}", kind)
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
