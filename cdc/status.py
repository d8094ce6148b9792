"""What a person may ask of a running daemon, as values: the one shape behind `cdc status`, `/status` and
the demo's view.

Names are stable: `--json` prints these structs as they are. LSNs are text, times seconds since the Unix
epoch, None: unknown.
"""

from __future__ import annotations

from typing import Any

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
    """The slot and the stream. `behind_bytes`: WAL written by the server and not yet confirmed by us. `retained_bytes`: WAL
    that it keeps for the slot; `safe_wal_bytes`: how much more may be written before it gives the slot up (None: no limit).

    `proved_at`: when the stream was last known to have given all that there was. `holder`: who streams from the slot.
    """

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
    safe_wal_bytes: int | None = None
    wal_status: str | None = None
    active: bool | None = None
    holder: str = ""
    timeline: int | None = None
    proved_at: float | None = None


class TableLag(msgspec.Struct, kw_only=True):
    """One table in one warehouse: the last change of it that was applied, in this run of the daemon.

    `behind_seconds` is that of what carries it, as all before it has been applied; None unless the table is live.
    """

    name: str
    state: str = "live"
    applied_lsn: str | None = None
    applied_commit_time: float | None = None
    behind_seconds: float | None = None
    rows_applied: int = 0


class PartitionLag(msgspec.Struct, kw_only=True):
    """One partition of a transport that is a log: the next offset to be applied (-1: none was yet), and where it ends."""

    topic: str
    partition: int
    applied: int
    end: int
    records: int


class WarehouseStatus(msgspec.Struct, kw_only=True):
    """`behind_seconds` is 0 only when everything in the source has been committed there, as far as the last half minute proves.

    `parked`: why it is left out of everything; empty, unless it is (see `cdc.shedding`).

    `queue_bytes`: rows on their way to it, of at most `queue_limit_bytes`.

    `lag_*` are seconds from commit in the source to commit in the warehouse, over the last minutes. With Kafka,
    `records_behind` are those on the topics that its appliers, in all processes together, have not applied. `dead_letters` are
    rows that were left out, of which `dead_letters_in` tells: a table of the target, or a topic.
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
    queue_bytes: int | None = None
    queue_limit_bytes: int | None = None
    dead_letters: int = 0
    dead_letters_in: str = ""
    tables: list[TableLag] = []
    parked: str = ""

    def leave(self, why: str) -> None:
        """It has been left behind, if there is a reason: nothing is claimed of it and its tables."""
        self.parked = why
        if why:
            self.behind_seconds = None
            parked = {"state": "parked", "behind_seconds": None}
            self.tables = [msgspec.structs.replace(each, **parked) for each in self.tables]


class Note(msgspec.Struct, kw_only=True):
    """Something that happened. `kind`: error, schema_change, parked, dead_letter, slot, stream."""

    at: float
    kind: str
    text: str
    table: str = ""
    warehouse: str = ""


class Sample(msgspec.Struct, kw_only=True):
    """One moment of the past, for plots. `behind_seconds` and `rows_per_second` are per warehouse."""

    at: float
    behind_bytes: int | None = None
    retained_bytes: int | None = None
    behind_seconds: dict[str, float | None] = {}
    lag_p95: dict[str, float | None] = {}
    rows_per_second: dict[str, float] = {}


class Status(msgspec.Struct, kw_only=True):
    """`state`: starting, streaming, retrying, paused, stopping, stopped, failed; `error`: the last failure.

    `notes` are the last things that happened, the youngest first.
    """

    version: str
    state: str
    started: float | None = None
    source: SourceStatus
    tables: list[TableStatus] = []
    warehouses: list[WarehouseStatus] = []
    notes: list[Note] = []
    error: str = ""
    pid: int | None = None


class WarehouseLag(msgspec.Struct, kw_only=True):
    """How far one warehouse is behind; the fields are those of `WarehouseStatus`."""

    applied_lsn: str | None
    applied_commit_time: float | None
    behind_seconds: float | None
    rows_per_second: float
    lag_p50: float | None
    lag_p95: float | None
    lag_p99: float | None
    records_behind: int | None = None
    tables: list[TableLag]
    partitions: list[PartitionLag] = []


class Lag(msgspec.Struct, kw_only=True):
    """What `cdc lag --json` and `/lag` say; the fields of the slot are those of `SourceStatus`."""

    state: str
    slot: str
    received_lsn: str | None
    confirmed_lsn: str | None
    restart_lsn: str | None
    current_lsn: str | None
    behind_bytes: int | None
    retained_bytes: int | None
    safe_wal_bytes: int | None
    wal_status: str | None
    warehouses: dict[str, WarehouseLag]


def lag_of(status: Status) -> Lag:
    """The part of a status that answers "how far behind?"."""
    return Lag(
        state=status.state,
        warehouses={each.name: _taken(WarehouseLag, each) for each in status.warehouses},
        **_fields(Lag, status.source),
    )


def _taken(kind: type[WarehouseLag], each: WarehouseStatus) -> WarehouseLag:
    return kind(**_fields(kind, each))


def _fields(kind: type[msgspec.Struct], of: msgspec.Struct) -> dict[str, Any]:
    """Those fields of a struct that another kind has, too."""
    names = {field.name for field in msgspec.structs.fields(kind)}
    return {name: getattr(of, name) for name in of.__struct_fields__ if name in names}
