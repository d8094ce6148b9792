"""`[warehouses.NAME]` with `kind = "postgres"`: where the database is, how the session behaves, and the rules for types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cdc.config import Count, WarehouseSettings

Name = Annotated[str, Meta(min_length=1, max_length=63)]
Wait = Annotated[float, Meta(ge=0)]


class Settings(WarehouseSettings, kw_only=True, frozen=True):
    """The database, the session's limits, and the named rules for what the target may not have."""

    kind: Literal["postgres"] = "postgres"
    dsn: str
    """A libpq DSN or URL. What it leaves out comes from PG* variables and ~/.pgpass, as with psql."""
    connect_timeout: Count = 10
    """Seconds."""
    application_name: str = "cdc"
    statement_timeout: Wait = 0.0
    """Seconds that one statement may take; 0: as long as it needs."""
    lock_timeout: Wait = 30.0
    """Seconds to wait for whoever holds a table or a row; then the batch is taken back and tried again."""
    session: dict[str, str] = {}
    """Any other settings of the session: `{ role = "loader", work_mem = "64MB" }`."""
    metadata_schema: Name = "_cdc"
    """The schema of marks and controls. Several sources may share it."""

    triggers: Literal["fire", "skip"] = "fire"
    """The target's own triggers and foreign keys: as for any session, or skipped (session_replication_role = replica)."""
    truncate: Literal["delete", "truncate"] = "delete"
    """How a table is emptied: by DELETE, which hides nothing from readers before the commit, or by TRUNCATE, which makes
    readers wait and shows an empty table to those with an older snapshot."""
    unknown_types: Literal["text", "refuse"] = "text"
    """A type of the source that the target does not have: keep PostgreSQL's text, or stop."""
    enums: Literal["existing", "create"] = "existing"
    """An enum type that the target does not have: see `unknown_types`, or create it with the source's labels."""
    columns: dict[str, str] = {}
    """Types for single columns: `"public.t.c" = "text"`. Whatever PostgreSQL reads from the source's text will do."""
