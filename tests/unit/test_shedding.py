"""Which table, or which warehouse, is set aside when the slot must go on."""

from __future__ import annotations

import pytest

from cdc.shedding import TAKE_UP, Shedding

FULL = {"a": 0, "b": 100}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shedding(clock: Clock) -> Shedding:
    return Shedding(["a", "b"], enabled=True, clock=clock)


def work(shedding: Shedding, clock: Clock, **tables: float) -> None:
    """A batch of b's."""
    for table, seconds in tables.items():
        shedding.turns_to("b", table)
        clock.now += seconds
    shedding.turns_to("b", "")
    shedding.turns_to("b", None)


def take(shedding: Shedding) -> str:
    wanted = shedding.take("b")
    assert wanted is not None
    shedding.taken("b")
    assert not shedding.is_wanted("b")
    return wanted[0]


def test_nobody_is_blamed_who_has_nothing_to_do(shedding: Shedding, clock: Clock) -> None:
    work(shedding, clock, small=5)
    assert shedding.shed("", {"a": 0, "b": 0}) == ""
    assert not shedding.is_wanted("b")


def test_tables_go_one_by_one_those_first_that_take_longest(shedding: Shedding, clock: Clock) -> None:
    work(shedding, clock, small=1, large=5)
    work(shedding, clock, small=1, large=5)
    assert shedding.shed("", FULL) == "table large is parked in b"
    assert take(shedding) == "large"
    work(shedding, clock, small=3, middle=2)
    assert shedding.shed("", FULL) == "table small is parked in b"
    assert take(shedding) == "small"
    assert shedding.left == {}


def test_a_table_that_it_is_stuck_in_comes_before_all_others(shedding: Shedding, clock: Clock) -> None:
    work(shedding, clock, large=5)
    shedding.turns_to("b", "stuck")
    clock.now += 6
    assert shedding.shed("", FULL) == "table stuck is parked in b"


def test_so_does_one_that_an_attempt_ended_in(shedding: Shedding, clock: Clock) -> None:
    shedding.turns_to("b", "locked")
    clock.now += 1
    shedding.failed("b")
    assert shedding.shed("", {"a": 100, "b": 0}) == "table locked is parked in b"


def test_a_warehouse_that_does_not_take_it_up_is_left_behind(shedding: Shedding, clock: Clock) -> None:
    abandoned: list[str] = []
    shedding.abandon = abandoned.append
    shedding.turns_to("b", "stuck")
    shedding.shed("", FULL)
    clock.now += TAKE_UP - 1
    assert shedding.shed("", FULL) == "b has yet to park stuck"
    clock.now += 1
    assert shedding.shed("why", FULL) == "warehouse b is left behind"
    assert abandoned == ["b"]
    assert shedding.left == {"b": "why"}
    assert not shedding.nobody
    assert shedding.shed("", FULL) == "", "it is not to blame any more"
    shedding.back("b")
    assert shedding.left == {}


def test_one_that_cannot_be_opened_is_left_behind_at_once(shedding: Shedding, clock: Clock) -> None:
    work(shedding, clock, small=1)
    for name in ("b", "a"):
        shedding.failed(name, opening=True)
        assert shedding.shed("", {}) == f"warehouse {name} is left behind"
    assert shedding.nobody


def test_a_table_that_is_stuck_again_though_it_was_parked_takes_its_warehouse_with_it(
    shedding: Shedding, clock: Clock
) -> None:
    for expected in ("table t is parked in b", "warehouse b is left behind"):
        shedding.turns_to("b", "t")
        clock.now += 1
        assert shedding.shed("", FULL) == expected
        if shedding.is_wanted("b"):
            take(shedding)


def test_unless_it_was_copied_anew(shedding: Shedding, clock: Clock) -> None:
    for _ in range(2):
        shedding.turns_to("b", "t")
        clock.now += 1
        assert shedding.shed("", FULL) == "table t is parked in b"
        take(shedding)
        shedding.copied(["t"])
