"""The last things that happened, for people; and what is counted of them, for Prometheus."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from cdc.meters import Meters
from cdc.status import Note

MOST = 100


class Notes:
    """Written and read by any thread. `meters` counts over all attempts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._notes: deque[Note] = deque(maxlen=MOST)
        self.meters = Meters()

    def note(self, kind: str, text: str, *, table: str = "", warehouse: str = "") -> None:
        """Something that a person should find among the last things that happened (`cdc.status.Note`)."""
        self._notes.appendleft(Note(at=self._clock(), kind=kind, text=text, table=table, warehouse=warehouse))

    def last_notes(self) -> list[Note]:
        """The youngest first."""
        return list(self._notes)

    def reshaped(self, warehouse: str, table: str, text: str) -> None:
        """A table's shape has changed in a warehouse."""
        self.meters.schema_changes.labels(warehouse, table).inc()
        self.note("schema_change", text, table=table, warehouse=warehouse)
