"""Lag: how long after its commit in the source a change is committed in a warehouse. Pure: times are passed in.

Times are seconds since the Unix epoch.
"""

from __future__ import annotations

from collections import deque

WINDOW = 300.0  # seconds over which percentiles and rates look back
RATE_WINDOW = 10.0


class LagWindow:
    """Lags of the batches of the last minutes, weighted by their rows; memory is bounded by one sample per 50 ms."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._samples: deque[tuple[float, float, int]] = deque(maxlen=int(window * 20))

    def add(self, now: float, lag: float, rows: int) -> None:
        """`rows` were committed at `now`, `lag` seconds after the source's commit. Clocks may differ: never below zero."""
        self._samples.append((now, max(lag, 0.0), rows))

    def percentile(self, now: float, share: float) -> float | None:
        """The lag that `share` (0…1) of the rows did not exceed; None without rows."""
        recent = sorted((lag, rows) for at, lag, rows in self._samples if now - at <= self._window and rows)
        wanted = share * sum(rows for _, rows in recent)
        for lag, rows in recent:
            wanted -= rows
            if wanted <= 0:
                return lag
        return None

    def rows_per_second(self, now: float) -> float:
        """Rows committed over the last ten seconds."""
        return sum(rows for at, _, rows in self._samples if now - at <= RATE_WINDOW) / RATE_WINDOW


def behind_seconds(now: float, published_us: int, applied_us: int, *, drained: bool) -> float | None:
    """Seconds behind: 0 only if all that was received is applied; else the age of the last applied commit."""
    if drained:
        return 0.0
    if not applied_us:
        return max(now - published_us / 1e6, 0.0) if published_us else None
    return max(now - applied_us / 1e6, 0.0)
