"""Slot and warehouse belong together, or the start is refused with what is missing."""

from __future__ import annotations

import pytest

from cdc.errors import SlotLost, SourceUnavailable
from cdc.events import Control
from cdc.lsn import parse_lsn
from cdc.origin import ORIGIN, Origin, Whereabouts, check_history, check_origin, unseen
from cdc.source.timeline import parse_history

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


def followed(timeline: int, seen: int, confirmed: int = AT) -> dict[str, bytes]:
    control = Origin(7, "shop", "cdc", timeline).confirming(confirmed, (), seen)
    return {control.key: control.value}


@pytest.mark.parametrize(
    ("records", "here", "applied"),
    [
        ({}, Whereabouts(1, 0), 0),
        (followed(1, AT), Whereabouts(1, AT), AT),
        (followed(0, AT), Whereabouts(3, AT), AT),  # a record of an earlier version knows no timeline
        (followed(1, 50), Whereabouts(2, 60, {1: 50}), 50),  # promoted, with all that was received
        (
            followed(1, 50, confirmed=70),
            Whereabouts(2, 60, {1: 55}),
            50,
        ),  # … of ours; the rest was nobody's rows
        (followed(1, 50), Whereabouts(3, 60, {1: 50, 2: 55}), 50),
    ],
)
def test_a_server_that_has_all_that_was_received_goes_on(
    records: dict[str, bytes], here: Whereabouts, applied: int
) -> None:
    check_history(records, here, applied)


@pytest.mark.parametrize(
    ("records", "here", "applied", "why"),
    [
        (followed(1, 0), Whereabouts(1, AT - 1), 0, "WAL ends at 1/F, and 1/10 of it"),
        (followed(1, 0), Whereabouts(1, AT), AT + 5, "WAL ends at 1/10, and 1/15 of it"),
        (
            followed(1, 51),
            Whereabouts(2, 99, {1: 50}),
            0,
            "left timeline 1 at 0/32, and transactions up to 0/33",
        ),
        (
            followed(1, 0),
            Whereabouts(2, 99, {1: 50}),
            51,
            "left timeline 1 at 0/32, and transactions up to 0/33",
        ),
        (followed(3, 0), Whereabouts(2, 99, {1: 50}), 0, "timeline 2 does not come from timeline 3"),
    ],
)
def test_a_server_that_has_gone_back_is_not_followed(
    records: dict[str, bytes], here: Whereabouts, applied: int, why: str
) -> None:
    with pytest.raises(SlotLost, match=rf"has gone back.*{why}.*\(.*cdc drop"):
        check_history(records, here, applied)


def test_a_standby_may_yet_come_there() -> None:
    with pytest.raises(SourceUnavailable, match="standby is behind"):
        check_history(followed(1, 0), Whereabouts(1, AT - 1, standby=True), 0)


def test_a_history_file_is_read() -> None:
    text = "# a comment\n1\t0/3000148\tno recovery target specified\n\n2\t16/B374D848\tbefore 2020-01-01 00:00:00+00\n"
    assert parse_history(text) == {1: 0x3000148, 2: 0x16B374D848}
