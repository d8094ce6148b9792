"""Lag: how long after its commit in the source a change is committed in a warehouse. Pure: times are passed in.

Every figure of lag that is shown anywhere is reckoned here. Times are seconds since the Unix epoch.
"""

from __future__ import annotations

from collections import deque

import msgspec

from cdc.events import Control
from cdc.lsn import Lsn

PROVED = "proved"  # the control record by which a reader tells appliers elsewhere: durable after all that it speaks of

WINDOW = 300.0  # seconds over which percentiles and rates look back
RATE_WINDOW = 10.0
PROOF_SECONDS = 30.0  # a proof that nothing is left to be received counts for so long


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


class Proof:
    """When the stream was last known to have given all that the source had.

    An idle stream proves nothing by its silence: it may be dead. So the source is asked where it is (`asked`), and once the
    stream has come there (`reached`), all that was committed before the question has been received.
    """

    def __init__(self) -> None:
        self._asked: deque[tuple[float, Lsn]] = deque(maxlen=256)
        self.at: float | None = None

    def asked(self, at: float, lsn: Lsn) -> None:
        """The source was at `lsn` when it was asked, at `at`."""
        self._asked.append((at, lsn))

    def reached(self, lsn: Lsn) -> None:
        """Every transaction that commits below `lsn` has been received."""
        while self._asked and self._asked[0][1] <= lsn:
            self.at = self._asked.popleft()[0]

    def forget(self) -> None:
        """The stream has broken off: what it gave proves nothing of the next one."""
        self._asked.clear()
        self.at = None


class _Proved(msgspec.Struct):
    at: float


def telling(proved_at: float) -> Control:
    """To be published behind everything that the source had at that time."""
    return Control(PROVED, msgspec.json.encode(_Proved(proved_at)))


def told(value: bytes | None) -> float | None:
    """The time that such a record tells."""
    return msgspec.json.decode(value, type=_Proved).at if value else None


def is_fresh(now: float, proved_at: float | None) -> bool:
    """Does a proof of that time still count?"""
    return proved_at is not None and now - proved_at <= PROOF_SECONDS


def behind_seconds(
    now: float,
    published_us: int,
    applied_us: int,
    *,
    drained: bool,
    proved_at: float | None,
    synced_at: float | None = None,
) -> float | None:
    """Seconds behind: 0 only if all that was received is applied, and that was lately proved to be all there is.

    Else the age of the last applied commit, or of the proof where that is younger: at its time nothing was missing. So it was
    at `synced_at`, though more has come since.
    """
    ages = [] if synced_at is None else [now - synced_at]
    if drained and proved_at is not None:
        if is_fresh(now, proved_at):
            return 0.0
        ages.append(now - proved_at)
    known_us = applied_us or published_us
    if known_us:
        ages.append(now - known_us / 1e6)
    return max(min(ages), 0.0) if ages else None
