"""What a person may ask of a running daemon, as values: the one shape behind `cdc status`, `/status` and
the demo's view.

Names are stable: `--json` prints these structs as they are. LSNs are text, times seconds since the Unix
epoch, None: unknown.
"""

from __future__ import annotations

import msgspec


class TableStatus(msgspec.Struct, kw_only=True):
    """`state` is one of `new`, `copying`, `catching_up`, `live`, `parked` (see `cdc.tables`)."""

    name: str
    state: str
    rows_copied: int = 0
    rows_estimated: int | None = None
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    truncates: int = 0
    reason: str = ""
    mend: str = ""


class SourceStatus(msgspec.Struct, kw_only=True):
    """The slot and the stream. `behind_bytes`: WAL written by the server and not yet confirmed by us."""

    slot: str
    publication: str
    plugin: str
    server: str = ""
    received_lsn: str | None = None
    confirmed_lsn: str | None = None
    restart_lsn: str | None = None
    current_lsn: str | None = None
    behind_bytes: int | None = None
    retained_bytes: int | None = None
    wal_status: str | None = None
    active: bool | None = None


class PartitionLag(msgspec.Struct, kw_only=True):
    """One partition of a transport that is a log: the next offset to be applied (-1: none was yet), and where it ends."""

    topic: str
    partition: int
    applied: int
    end: int
    records: int


class WarehouseStatus(msgspec.Struct, kw_only=True):
    """`behind_seconds` is 0 only when everything received has been committed there.

    `lag_*` are seconds from commit in the source to commit in the warehouse, over the last minutes. With Kafka,
    `records_behind` are those on the topics that its appliers, in all processes together, have not applied.
    """

    name: str
    kind: str
    target: str = ""
    applied_lsn: str | None = None
    applied_commit_time: float | None = None
    behind_seconds: float | None = None
    rows_applied: int = 0
    rows_per_second: float = 0.0
    lag_p50: float | None = None
    lag_p95: float | None = None
    lag_p99: float | None = None
    records_behind: int | None = None
    partitions: list[PartitionLag] = []


class Status(msgspec.Struct, kw_only=True):
    """`state`: starting, streaming, retrying, stopping, stopped, failed; `error`: the last failure."""

    version: str
    state: str
    started: float | None = None
    source: SourceStatus
    tables: list[TableStatus] = []
    warehouses: list[WarehouseStatus] = []
    error: str = ""
    pid: int | None = None


class WarehouseLag(msgspec.Struct, kw_only=True):
    """How far one warehouse is behind; the fields are those of `WarehouseStatus`."""

    applied_lsn: str | None
    behind_seconds: float | None
    rows_per_second: float
    lag_p50: float | None
    lag_p95: float | None
    lag_p99: float | None
    records_behind: int | None = None


class Lag(msgspec.Struct, kw_only=True):
    """What `cdc lag --json` and `/lag` say."""

    state: str
    behind_bytes: int | None
    retained_bytes: int | None
    warehouses: dict[str, WarehouseLag]


def lag_of(status: Status) -> Lag:
    """The part of a status that answers "how far behind?"."""
    names = [field.name for field in msgspec.structs.fields(WarehouseLag)]
    return Lag(
        state=status.state,
        behind_bytes=status.source.behind_bytes,
        retained_bytes=status.source.retained_bytes,
        warehouses={
            each.name: WarehouseLag(**{name: getattr(each, name) for name in names})
            for each in status.warehouses
        },
    )
