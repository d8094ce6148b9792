"""How fast tables are copied: as the stream's pauses allow, or under a limit of rows a second.

Under a limit the rows of a part of a second are read, and then nothing until that part is over. So the server is never busy for
long at a time, and the stream has what lies between.
"""

from __future__ import annotations

from collections.abc import Callable

from cdc.config import SnapshotSettings

BURST = 0.25  # seconds whose rows are read at a time, but for what a chunk has more
LATE = 0.5  # seconds that are made up for: so long a quiet stream may keep its jobs waiting


def chunk_rows(settings: SnapshotSettings) -> int:
    """Of a chunk at most: under a limit the workers share a burst."""
    if not settings.max_rows_per_second:
        return settings.chunk_rows
    share = int(settings.max_rows_per_second * BURST / settings.workers)
    return min(settings.chunk_rows, max(share, 1))


class Pace:
    """Of rounds of chunks, one after the other. `rows` are those that the round has read."""

    def __init__(self, settings: SnapshotSettings, clock: Callable[[], float]) -> None:
        self._limit = settings.max_rows_per_second
        self._longest = settings.max_stream_pause
        self._chunk_rows = chunk_rows(settings)
        self._clock = clock
        self._rest_until = 0.0
        self.started = 0.0
        self.rows = 0

    def is_due(self, *, idle: bool) -> bool:
        """Is the rest over? `idle`: the stream has nothing to do."""
        return self._clock() >= self._rest_until or (idle and not self._limit)

    def begin(self) -> None:
        """A round begins."""
        self.started, self.rows = self._clock(), 0

    def goes_on(self, in_flight: int) -> bool:
        """May another chunk be begun, beside so many?"""
        if self._limit and self.rows + in_flight * self._chunk_rows >= self._limit * BURST:
            return False
        return self._clock() < self.started + self._longest

    def end(self) -> None:
        """A round ends: a busy stream has as long as it took, so that lag stays bounded."""
        if self._limit:
            due = max(self._rest_until, self.started - LATE) if self._rest_until else self.started
            self._rest_until = due + self.rows / self._limit
        else:
            self._rest_until = 2 * self._clock() - self.started
