"""`[warehouses.NAME]` with `kind = "duckdb"`: where the database is, how much DuckDB may use, and the rules for values."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cdc.config import Count, Seconds, WarehouseSettings

MEMORY = ":memory:"
REMOTE = ("md:", "motherduck:")
Size = Annotated[str, Meta(pattern=r"^\d+(\.\d+)? ?([KMGT]i?)?B$")]


class Settings(WarehouseSettings, kw_only=True, frozen=True):
    """The file, DuckDB's limits, and the named rules for values that have no natural place in DuckDB."""

    kind: Literal["duckdb"] = "duckdb"
    path: str
    """The database file; created if missing. Only one process at a time can open it. Or ":memory:", or "md:NAME"."""
    token: str = ""
    """MotherDuck's access token, for `path = "md:NAME"`."""
    memory_limit: Size = "256MB"
    """What DuckDB's buffers may take; beyond it, it writes to `<path>.tmp`. Wide tables may need more, and so may one of more
    than ten million rows that are changed all over. For more than 128 tables, half a megabyte each is added."""
    threads: Count = 2
    checkpoint_threshold: Size = "256MB"
    """The size of DuckDB's WAL at which a commit moves it into the file, which takes seconds."""
    read_copy: str = ""
    """A file that is a copy of the database, for other processes to read; replaced whole. Empty: none."""
    read_copy_seconds: Seconds = 60.0
    """The pause between two copies; without changes none is made."""

    unrepresentable: Literal["refuse", "null"] = "refuse"
    """A value its column cannot hold unaltered (NaN in a DECIMAL, an infinite interval): stop, or store NULL and warn."""
    unconstrained_numeric: Annotated[str, Meta(pattern=r"^(text|decimal\(\d{1,2}, ?\d{1,2}\))$")] = "text"
    """Columns of type numeric without precision: `text` is lossless; `decimal(38,9)` refuses what it would have to round."""
    arrays: Literal["list", "json", "text"] = "list"
    """`list`: native, of one dimension, others refused; `json`: any dimensions; `text`: PostgreSQL's own, lossless."""
    columns: dict[str, str] = {}
    """Types for single columns: `"public.t.c" = "VARCHAR"` keeps PostgreSQL's text, `"DECIMAL(p,s)"` is for numerics."""

    def __post_init__(self) -> None:
        if "token=" in self.path:
            raise ValueError(
                "write MotherDuck's token as `token`, not into `path`, which is shown and logged"
            )
        if self.token and not self.remote:
            raise ValueError("`token` is MotherDuck's, for a path such as md:NAME")
        if self.read_copy and self.remote:
            raise ValueError("`read_copy` is for files: others can read MotherDuck's tables meanwhile")

    @property
    def in_memory(self) -> bool:
        """Gone with the process."""
        return self.path == MEMORY

    @property
    def remote(self) -> bool:
        """A database of MotherDuck's."""
        return self.path.startswith(REMOTE)
