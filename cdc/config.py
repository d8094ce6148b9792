"""The settings: what config.toml may say, with its defaults. One declaration, from which the rest is derived.

Reading, overriding and checking are in `config_file.py`. A connector brings the settings of its own
`[warehouses.NAME]` table (`connectors.X.Settings`, a subclass of `WarehouseSettings`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cdc.format import FormatSettings
from cdc.modes.settings import Case, Rules, TableRules
from cdc.settings import Settings as Settings

Level = Literal["debug", "info", "warning", "error"]
Seconds = Annotated[float, Meta(gt=0)]
MEMORY = "memory"  # the transport without a broker
Count = Annotated[int, Meta(ge=1)]


class SourceSettings(Settings, kw_only=True, frozen=True):
    """`[source]`: which PostgreSQL, through which slot and publication, which tables."""

    dsn: str
    slot: str = "cdc"
    publication: str = "cdc"
    plugin: Literal["pgoutput", "wal2json"] = "pgoutput"
    tables: list[str] = msgspec.field(default_factory=lambda: ["public.*"])
    exclude_tables: list[str] = []
    exclude_columns: list[str] = []
    create: bool = True
    """Create the slot and the publication where they are missing; false: a missing one is an error."""
    status_interval: Seconds = 10.0
    """Seconds between feedback messages to PostgreSQL; keep it well under wal_sender_timeout (60 s)."""
    flush_interval: Seconds = 2.0
    """Under load, seconds between confirmations of what is durable; an idle stream confirms at once."""
    connect_timeout: Count = 10
    heartbeat_interval: Annotated[float, Meta(ge=0)] = 10.0
    """Seconds between heartbeats, which keep an idle slot moving and lag honest; 0: the source is asked, nothing is written."""
    heartbeat_query: str = ""
    """What a heartbeat executes, where a logical message (pg_logical_emit_message) is refused or another tool looks for it."""
    failover: bool = False
    """Make the slot one that standbys keep, too (PostgreSQL 17 and later), so that a promoted one can be followed."""
    slot_wait: Annotated[float, Meta(ge=0)] = 75.0
    """Seconds to wait at the start for a slot that somebody else streams from; the server lets go of a dead client after 60."""
    retained_warn_bytes: Annotated[int, Meta(ge=0)] = 10 << 30
    """WAL kept for the slot at which people are told; 0: never."""
    retained_limit_bytes: Annotated[int, Meta(ge=0)] = 0
    """WAL kept for the slot at which `retained_policy` is followed; 0: never."""
    retained_policy: Literal["alert", "park", "drop_slot"] = "alert"
    """`alert`: say so, as an error; `park`: set aside the table, then the warehouse, that holds the slot up (`cdc resync` mends
    it); `drop_slot`: give up the slot to save the source's disk: all tables must be copied again."""
    wal2json_null_numbers: Literal["refuse", "null"] = "refuse"
    """wal2json before 2.6 prints NaN and infinities of numbers as null: refuse such a null, or take it for NULL."""


class SnapshotSettings(Settings, kw_only=True, frozen=True):
    """`[snapshot]`: how tables are first copied."""

    mode: Literal["initial", "no_data", "when_needed", "always"] = "initial"
    workers: Count = 2
    """Connections that read chunks at a time."""
    max_stream_pause: Seconds = 1.0
    """Seconds for which the stream stands still while chunks are read, then it has as many for itself; a chunk is made as
    large as fits into part of it. A table without key is read in one go, however long that takes."""
    rewritten: Literal["copy", "keep"] = "copy"
    """A table whose rows have changed without a word in the stream: copy it anew, or keep the target's rows."""
    chunk_rows: Count = 122_880  # a row group of DuckDB's, which writes whole ones once instead of twice
    """Rows of a chunk at most."""
    max_rows_per_second: Annotated[int, Meta(ge=0)] = 0
    """For gentle loads, read in parts of a quarter of a second; 0: as fast as it goes. A table without key is read in one go."""
    dsn: str = ""
    """A standby to read from; empty: [source] dsn."""
    where: dict[str, str] = {}
    """Per table (schema.table) a condition on the rows to copy; changes are streamed of all rows."""
    statements: dict[str, str] = {}
    """Per table a SELECT to copy from in its place; it gives the table's columns."""
    discover_interval: Seconds = 10.0
    """Seconds between looks for tables that [source] tables names and that were not there before."""


class TransportSettings(Settings, kw_only=True, frozen=True):
    """`[transport]`: what carries events from the reader to the appliers. Other kinds than memory have settings of their own."""

    kind: str = MEMORY
    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 64 << 20
    """Bytes of rows on their way to one warehouse; when reached, the stream waits."""


class WarehouseSettings(Rules, kw_only=True, frozen=True):
    """What every `[warehouses.NAME]` may say, whatever its kind."""

    kind: str
    batch_rows: Count = 50_000
    """A batch is handed to the warehouse at this many rows …"""
    batch_bytes: Annotated[int, Meta(ge=1 << 16)] = 16 << 20
    """… or bytes of rows …"""
    max_delay: Seconds = 0.2
    """… or seconds after its first commit under steady load …"""
    when_idle: Literal["at_once", "wait"] = "at_once"
    """… or when nothing more comes: at once, or it waits for company until `max_delay`, too, where every batch costs money."""
    schemas: dict[str, str] = {}
    """Schemas of the target for schemas of the source; others keep their name."""
    prefix: str = ""
    """Of every table's name."""
    case: Case = "keep"
    """Of all names that are not written here: as in the source, or all lower or upper case."""
    tables: dict[str, TableRules] = {}
    """What is different for single tables; globs over schema.table."""
    dead_letter_topic: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,249}$")] = ""
    """A topic that tells of rows which were left out, where Kafka is the transport; empty: the table `_cdc_dead_letters`."""

    @property
    def patience(self) -> float:
        """Seconds that changes wait for company though nothing more comes."""
        return self.max_delay if self.when_idle == "wait" else 0.0


class HttpSettings(Settings, kw_only=True, frozen=True):
    """`[http]`: where the daemon answers `cdc status`, `cdc verify`, health checks and browsers; empty: nowhere."""

    listen: str = "127.0.0.1:8085"
    token: str = ""
    """Who asks for more than health must send it (`Authorization: Bearer …`); without one, nothing can be changed over HTTP."""
    open: bool = False
    """Listen beyond this machine without a token."""
    tls_certificate: str = ""
    """PEM file of the certificate chain; with it, answers go over TLS."""
    tls_key: str = ""
    """PEM file of its key; empty: it is in the same file."""
    ready_seconds: Annotated[float, Meta(ge=0)] = 600.0
    """/readyz says no when a warehouse is further behind; 0: however far it is."""
    stalled_seconds: Annotated[float, Meta(ge=0)] = 900.0
    """/healthz says no when the reader or an applier has not gone round for so long; 0: however long."""


class SqlSettings(Settings, kw_only=True, frozen=True):
    """`[sql]`: what `cdc sql` may take of a warehouse that only the daemon can open."""

    enabled: bool = True
    """Answer at all."""
    max_rows: Count = 1_000_000
    """Rows of one answer; what is more is left out, and said to be."""
    max_bytes: Count = 256 << 20
    """Bytes of one answer, likewise."""
    max_seconds: Seconds = 60.0
    """Time for one answer, with its way to whoever asked; then it is an error."""
    concurrent: Annotated[int, Meta(ge=1, le=4)] = 2
    """Questions at a time; others are told to try again."""


class LogSettings(Settings, kw_only=True, frozen=True):
    """`[log]`: what is written to standard error."""

    level: Level = "info"
    modules: dict[str, Level] = {}
    """Levels of single modules and all below them: `cdc.source`, `psycopg`."""
    format: Literal["auto", "text", "json"] = "auto"
    """`auto`: readable on a terminal, JSON lines otherwise."""


class OtelSettings(Settings, kw_only=True, frozen=True):
    """`[otel]`: where metrics are sent over OpenTelemetry's protocol, beside /metrics; needs the extra `otel`."""

    endpoint: str = ""
    """Such as http://collector:4318/v1/metrics; empty: nowhere."""
    headers: dict[str, str] = {}
    interval: Seconds = 30.0
    service: str = "cdc"


class Config(Settings, kw_only=True, frozen=True):
    """The whole file. `warehouses` holds each table already converted to its connector's settings."""

    source: SourceSettings
    snapshot: SnapshotSettings = SnapshotSettings()
    transport: TransportSettings = TransportSettings()
    format: FormatSettings = FormatSettings()
    warehouses: dict[str, WarehouseSettings] = {}
    http: HttpSettings = HttpSettings()
    sql: SqlSettings = SqlSettings()
    log: LogSettings = LogSettings()
    otel: OtelSettings = OtelSettings()
