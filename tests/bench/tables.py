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
    """WAL → PostgreSQL and WAL → DuckDB, the same rows spread over 1,000 tables and in one: time per change.

    A daemon has to learn of each table when it starts: the second ratio counts that, the first is of one that knows them.
    """
    rounds = max(4, int(14 * bench.scale))
    figures = {}
    for kind in ("postgres", "duckdb"):
        one, one_on = _spread(bench, kind, "one", 1, TABLES * ROWS, rounds)
        many, many_on = _spread(bench, kind, "many", TABLES, ROWS, rounds)
        figures |= {
            f"{kind}: one table, changes/s": one_on, f"{kind}: 1,000 tables, changes/s": many_on,
            f"{kind}: time per change, ratio (goal 2)": one_on / many_on, f"{kind}: ratio with the start": one / many,
        }  # fmt: skip
    return figures


def _spread(bench: Bench, kind: str, name: str, count: int, rows: int, rounds: int) -> tuple[float, float]:
    """Changes a second, of a daemon that has to learn of each table first, and of one that knows them: by the difference of a
    long run and a short one."""
    source, config = prepared(bench, f"{name}_{kind}", kind)
    columns = orders.CREATE.split("(", 1)[1].strip()
    for number in range(count):
        source.execute(f"create table t{number + 1} ({columns}".encode())
    bench.line(config, "copied")
    took: list[float] = []
    for first, last in ((0, 1), (1, 2), (2, rounds)):  # the first makes the target's tables
        for n in range(first, last):
            source.execute(SPREAD.format(tables=count, first=n * rows + 1, last=(n + 1) * rows).encode())
        took.append(bench.line(config, "caught_up")["stream_seconds"])
    _, short, long = took
    changes = count * (rows + rows // 2)
    return changes * (rounds - 2) / long, changes * (rounds - 3) / max(long - short, 1e-9)
