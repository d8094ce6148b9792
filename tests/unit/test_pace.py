"""How fast tables are copied."""

from __future__ import annotations

import pytest

from cdc.config import SnapshotSettings
from cdc.source.pace import BURST, LATE, Pace, chunk_rows

LIMIT, LONG = 1000, 60.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def copy(tick: float, took: float, *, quiet: bool) -> list[tuple[float, int]]:
    """Rounds of a minute, of a stream that turns to its jobs each `tick`, and at once after a round if it is quiet."""
    clock = Clock()
    settings = SnapshotSettings(max_rows_per_second=LIMIT)
    pace, rounds = Pace(settings, clock), []
    begun = clock.now
    while clock.now < begun + LONG:
        while pace.is_due(idle=quiet):
            pace.begin()
            while pace.goes_on(0):
                pace.rows += chunk_rows(settings)
            rounds.append((clock.now, pace.rows))
            clock.now += took
            pace.end()
            if not quiet:
                break
        clock.now += tick
    return rounds


@pytest.mark.parametrize(
    ("tick", "took", "quiet"), [(0.5, 0.01, True), (0.5, 0.1, True), (0.01, 0.01, False), (0.1, 0.05, False)]
)
def test_a_limit_is_what_is_read_and_no_more(tick: float, took: float, *, quiet: bool) -> None:
    rounds = copy(tick, took, quiet=quiet)
    assert 0.9 * LIMIT * LONG <= sum(rows for _, rows in rounds) <= 1.02 * LIMIT * LONG
    for since, _ in rounds:
        assert sum(rows for at, rows in rounds if since <= at < since + 1) <= LIMIT * (1 + LATE + BURST)


def test_what_was_missed_for_long_is_not_made_up_for() -> None:
    rounds = copy(5.0, 0.01, quiet=True)
    assert max(sum(rows for at, rows in rounds if since <= at < since + 1) for since, _ in rounds) <= LIMIT
