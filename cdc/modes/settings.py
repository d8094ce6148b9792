"""Settings that say how tables are kept, for a warehouse and for single tables of it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from cdc.settings import Settings

Mode: TypeAlias = Literal["upsert", "soft_delete", "history", "append"]
Metadata: TypeAlias = Literal["commit_lsn", "commit_ts", "op", "synced_at"]
Dropped: TypeAlias = Literal["keep", "null", "drop"]
Incompatible: TypeAlias = Literal["park", "new_column", "stop"]
Refused: TypeAlias = Literal["park_table", "park_row", "stop"]
RowData: TypeAlias = Literal["none", "key", "row"]
Case: TypeAlias = Literal["keep", "lower", "upper"]


class Rules(Settings, kw_only=True, frozen=True):
    """What can be said for all tables of a warehouse and for single ones."""

    mode: Mode = "upsert"
    """`upsert`: as the source; `soft_delete`: deleted rows stay, marked; `history`: every version; `append`: every change."""
    metadata: list[Metadata] = msgspec.field(default_factory=list)
    """Columns `_cdc_…` that say of each row by which change it came to be as it is."""
    dropped_columns: Dropped = "keep"
    """A column that the source dropped: keep its values, set them to NULL, or drop it."""
    incompatible: Incompatible = "park"
    """A type that the target's column cannot be changed to: park the table, put the old column aside, or stop."""
    refused: Refused = "park_table"
    """A value that its column cannot hold: park the table, leave out that row, or stop."""
    dead_letters: RowData = "key"
    """What `_cdc_dead_letters` tells of a row that was left out: nothing, its key, or all of it."""


class TableRules(Settings, kw_only=True, frozen=True):
    """`[warehouses.NAME.tables."schema.table"]`: what is different for the tables that the glob names."""

    target: Annotated[str, Meta(pattern=r"^[^.]+(\.[^.]+)?$")] = ""
    """The name in the target: `table` or `schema.table`."""
    mode: Mode | None = None
    metadata: list[Metadata] | None = None
    dropped_columns: Dropped | None = None
    incompatible: Incompatible | None = None
    refused: Refused | None = None
    dead_letters: RowData | None = None
