"""What a person may ask of the snapshot, and what that means for a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from cdc.errors import ConfigError
from cdc.progress import Progress

T = TypeVar("T")


class CopyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`tables`: globs over schema.table, none: all. `restart`: from the start, also what is copied already; what the target has
    stays until the new copy is complete. `where`: per table, a condition on its rows.
    """

    tables: list[str] = []
    restart: bool = False
    where: dict[str, str] = {}

    def names(self, table: str) -> bool:
        if not self.tables:
            return not self.where or table in self.where
        return any(fnmatchcase(table, glob) for glob in self.tables)


def chosen(request: CopyRequest, captured: Iterable[T]) -> list[T]:
    """The captured tables that a request names. Raises ConfigError for a name that fits none."""
    tables = list(captured)
    for glob in [*request.tables, *request.where]:
        if not any(fnmatchcase(str(table), glob) for table in tables):
            raise ConfigError(
                f"no captured table is named {glob}",
                why=f"captured are: {', '.join(map(str, tables[:20]))}{' …' if len(tables) > 20 else ''}",
                hint="a table is written schema.table; [source] tables says which are captured",
            )
    return [table for table in tables if request.names(str(table))]


def asked_anew(request: CopyRequest, table: str, progress: Progress) -> Progress | None:
    """From where a table that is asked for is to be copied; None: it is copied already, and that is enough."""
    where = request.where.get(table, "")
    if not request.restart and not where:
        return None if progress.done else progress
    return anew(progress, where)


def anew(progress: Progress, where: str = "") -> Progress:
    """Where a new copy begins. What was copied once, or is being copied anew, is in use: its rows stay until all others
    are there."""
    return Progress(shadow=progress.done or progress.shadow, where=where)
