"""Changes that a table's copy has shown already, for a table without key, which cannot take a change twice."""

from __future__ import annotations

from cdc.events import Change, Truncate
from cdc.lsn import Position
from cdc.progress import Progress
from cdc.source.visibility import Snapshot


class ShownAlready:
    """Skips the changes of a table without key that its copy has seen (a `cdc.reader.Skip`)."""

    def __init__(self, table: str, progress: Progress) -> None:
        self._table = table
        self._shown = Snapshot.parse(progress.shown)
        self._until = progress.until

    concerned = True

    def covers(self, event: Change | Truncate) -> bool:
        return (
            event.table.full_name == self._table
            and event.begin.commit_lsn < self._until
            and self._shown.shows(event.begin.xid)
        )

    def over(self, position: Position) -> bool:
        return position.commit_lsn >= self._until
