"""Lag, against a plain reckoning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.lag import RATE_WINDOW, WINDOW, LagWindow, Proof, behind_seconds

samples = st.lists(st.tuples(st.floats(0, 10), st.integers(0, 50)), max_size=30)


@given(samples, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_the_lag_that_so_many_rows_did_not_exceed(
    given: list[tuple[float, int]], share: float
) -> None:
    window = LagWindow()
    for lag, rows in given:
        window.add(100, lag, rows)
    every_row = sorted(lag for lag, rows in given for _ in range(rows))
    found = window.percentile(100, share)
    if not every_row:
        assert found is None
    else:
        assert found in every_row
        within = sum(lag <= found for lag in every_row)
        less = sum(lag < found for lag in every_row)
        assert less < share * len(every_row) + 1e-6
        assert within >= share * len(every_row) - 1e-6


def test_old_samples_do_not_count() -> None:
    window = LagWindow()
    window.add(0, 9, 1000)
    window.add(WINDOW - 1, 1, 10)
    assert window.percentile(WINDOW, 0.5) == 9
    assert window.percentile(WINDOW + 1, 0.5) == 1
    assert window.percentile(3 * WINDOW, 0.5) is None


def test_rows_per_second() -> None:
    window = LagWindow()
    window.add(0, 0, 1000)
    window.add(5, 0, 50)
    assert window.rows_per_second(RATE_WINDOW) == 105
    assert window.rows_per_second(RATE_WINDOW + 1) == 5
    assert window.rows_per_second(99) == 0


def test_clocks_may_differ() -> None:
    window = LagWindow()
    window.add(0, -3, 1)
    assert window.percentile(0, 1) == 0


def behind(now: float, published: int, applied: int, drained: bool, proved_at: float | None) -> float | None:
    return behind_seconds(
        now, published * 1_000_000, applied * 1_000_000, drained=drained, proved_at=proved_at
    )


def test_behind_is_zero_only_when_all_is_applied_and_that_is_proved() -> None:
    assert behind(100, 50, 50, True, 95) == 0
    assert behind(100, 50, 50, True, None) == 50  # an idle stream may be a dead one
    assert behind(100, 50, 50, True, 40) == 50  # the last commit is younger than the proof
    assert behind(1000, 50, 50, True, 900) == 100  # … or older: then nothing was missing at its time
    assert behind(100, 90, 60, False, 99) == 40
    assert behind(100, 90, 0, False, None) == 10  # nothing applied yet
    assert behind(100, 0, 0, False, None) is None
    assert behind(100, 190, 190, False, None) == 0  # the source's clock is ahead


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=40))
def test_a_proof_is_the_youngest_question_whose_answer_the_stream_has_come_to(
    steps: list[tuple[bool, int]],
) -> None:
    proof, asked, position, best = Proof(), [], 0, None
    source = 0
    for at, (asks, by) in enumerate(steps):
        if asks:
            source += by
            proof.asked(at, source)
            asked.append((at, source))
        else:
            position += by
            proof.reached(position)
            best = max([when for when, lsn in asked if lsn <= position], default=best)
        assert proof.at == best
    proof.forget()
    assert proof.at is None
