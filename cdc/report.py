"""What `cdc verify` finds, as values: the one shape behind the command, its `--json`, `POST /verify` and the demo."""

from __future__ import annotations

import msgspec


class TableReport(msgspec.Struct, kw_only=True):
    """One table in one warehouse.

    Keys are told as people read them, up to a limit of each kind: of rows that the target lacks, of those that only the
    target has, and of those that are not the same. `sampled` is the share of all keys that was looked at, and that the counts of
    differing rows are for; None: all, and the counts are exact. `problem` says why rows were not
    compared (`equal` all the same, where there are none to compare), `mend` what to do.
    """

    table: str
    warehouse: str
    equal: bool
    source_rows: int
    target_rows: int
    missing: int = 0
    unexpected: int = 0
    different: int = 0
    missing_keys: list[str] = []
    unexpected_keys: list[str] = []
    different_keys: list[str] = []
    sampled: float | None = None
    problem: str = ""
    mend: str = ""
    seconds: float = 0.0


class Report(msgspec.Struct, kw_only=True):
    """All tables in all warehouses, as of one LSN. Without any, nothing was equal."""

    equal: bool
    lsn: str
    seconds: float
    tables: list[TableReport]
