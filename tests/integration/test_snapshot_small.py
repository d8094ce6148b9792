"""Many tables with few rows or none, as most databases have them: what is copied together is committed together."""

from __future__ import annotations

import pytest

from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.fixtures.line import Replica

TABLES = 150
MANY = f"""
    do $$ begin for i in 1..{TABLES} loop
        execute format('create table t%s (id int primary key, v text)', i);
        if i % 3 > 0 then execute format('insert into t%s select g, ''v'' from generate_series(1, %s) g', i, i % 3); end if;
    end loop; end $$;
"""


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each commit in the target: how many control records it had."""
    found: list[int] = []
    commit = DuckDBWarehouse.commit

    def counted(self: DuckDBWarehouse, checkpoint: object) -> None:
        commit(self, checkpoint)  # type: ignore[arg-type]
        found.append(len(checkpoint.controls))  # type: ignore[attr-defined]

    monkeypatch.setattr(DuckDBWarehouse, "commit", counted)
    return found


def test_small_tables_share_commits(replica: Replica, commits: list[int]) -> None:
    replica.database.execute(MANY)
    replica.assert_equal()
    assert len(commits) < TABLES / 3
