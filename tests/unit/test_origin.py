"""Slot and warehouse belong together, or the start is refused with what is missing."""

from __future__ import annotations

import pytest

from cdc.errors import SlotLost
from cdc.events import Control
from cdc.lsn import parse_lsn
from cdc.origin import ORIGIN, Origin, check_origin, unseen

HERE = Origin(7, "shop", "cdc")
AT = parse_lsn("1/10")


def record(origin: Origin = HERE, lsn: int = AT) -> dict[str, bytes]:
    control = origin.confirming(lsn)
    return {control.key: control.value}


def test_a_new_warehouse_goes_with_any_slot() -> None:
    check_origin({}, HERE, AT, created=True)
    check_origin({ORIGIN: b""}, HERE, AT, created=True)  # as `cdc drop` leaves it


@pytest.mark.parametrize("confirmed", [0, AT - 1, AT])
def test_a_slot_that_is_not_ahead_goes_on(confirmed: int) -> None:
    check_origin(record(), HERE, confirmed, created=False)


def test_another_name_of_the_slot_goes_on() -> None:
    check_origin(record(Origin(7, "shop", "other")), HERE, AT, created=False)


@pytest.mark.parametrize(
    ("origin", "confirmed", "created", "what"),
    [
        (
            HERE,
            AT + 1,
            False,
            r"'cdc' is ahead of the warehouse: it is confirmed to 1/11, the warehouse is at 1/10",
        ),
        (HERE, AT, True, r"'cdc' is gone: the warehouse is at 1/10"),
        (Origin(8, "shop", "cdc"), AT, False, r"another database: it holds 'shop' of server 8"),
        (Origin(7, "test", "cdc"), AT, False, r"another database: it holds 'test' of server 7"),
    ],
)
def test_changes_would_be_missing(origin: Origin, confirmed: int, created: bool, what: str) -> None:
    with pytest.raises(SlotLost, match=what + r".*\(.*cdc drop"):
        check_origin(record(origin), HERE, confirmed, created=created)


def test_unseen_transactions_are_remembered() -> None:
    control = HERE.confirming(AT, {9, 3})
    assert unseen({control.key: control.value}) == {3, 9}
    assert unseen({}) == set()
    assert unseen({ORIGIN: b""}) == set()


def test_a_record_without_them_is_read() -> None:
    value = b'{"system_identifier":7,"database":"shop","slot":"cdc","confirmed":"1/10"}'
    assert unseen({ORIGIN: value}) == set()
    check_origin({ORIGIN: value}, HERE, AT, created=False)


def test_marks_of_one_server_mean_nothing_to_another() -> None:
    assert HERE.partition == "7/shop"
    assert isinstance(HERE.confirming(AT), Control)
