"""The reader's rules of flushing: what is confirmed, and when."""

from __future__ import annotations

import msgspec
import pytest

from cdc.errors import TargetError
from cdc.events import Control, Idle
from cdc.origin import ORIGIN
from cdc.reader import COSTLY_FLUSH, IDLE_FLUSH, MUCH_WAL
from tests.fixtures.reading import START, Bench, names, transaction


def test_what_is_published_is_durable_before_it_is_confirmed() -> None:
    log = Bench([*transaction(10, "c"), Idle(15)]).run()
    assert names(log) == ["Begin", "Change", "Commit", "Control", "flush", "tuple"]
    record = log[3]
    assert isinstance(record, Control)
    assert (record.key, msgspec.json.decode(record.value)["confirmed"]) == (ORIGIN, "0/F")
    assert log[-1] == ("confirm", 15)


def test_under_load_it_flushes_by_the_clock_between_transactions() -> None:
    bench = Bench([])
    begin, change, commit = transaction(20, "c")
    bench.source.script = [
        *transaction(10, "c"),
        begin,
        bench.pass_time(3),
        change,
        commit,
        *transaction(30, "c"),
    ]
    assert bench.confirmed() == [25]


def test_a_transaction_of_others_is_not_worth_a_flush() -> None:
    bench = Bench([])
    bench.source.script = [bench.pass_time(3), *transaction(10), Idle(15)]
    assert bench.confirmed() == []
    assert bench.reader.received == 15


def test_an_idle_stream_is_confirmed_forward_now_and_then() -> None:
    bench = Bench([])
    bench.source.script = [
        Idle(20),
        bench.pass_time(IDLE_FLUSH),
        Idle(30),
        Idle(40),
        bench.pass_time(IDLE_FLUSH),
        Idle(40),
    ]
    assert bench.confirmed() == [30, 40]


def test_with_patience_changes_wait_for_company_however_long_it_was_quiet_before() -> None:
    bench = Bench([], patience=60.0)
    bench.source.script = [
        bench.pass_time(500),
        *transaction(10, "c"),
        Idle(15),
        bench.pass_time(59),
        Idle(16),
        *transaction(20, "c"),
        Idle(26),
        bench.pass_time(1),
        Idle(27),
        *transaction(30, "c"),
        bench.pass_time(59),
        Idle(37),
        bench.pass_time(1),
        *transaction(40, "c"),
    ]
    assert bench.confirmed() == [27, 45]


def test_with_patience_wal_of_others_is_seldom_confirmed_unless_it_is_much() -> None:
    bench = Bench([], patience=60.0)
    bench.source.script = [
        bench.pass_time(COSTLY_FLUSH - 1),
        Idle(20),
        bench.pass_time(1),
        Idle(30),
        bench.pass_time(IDLE_FLUSH),
        Idle(40),
        Idle(30 + MUCH_WAL),
        *transaction(40 + MUCH_WAL, "c"),
        Idle(50 + MUCH_WAL),
        Idle(30 + 2 * MUCH_WAL),
    ]
    assert bench.confirmed() == [30, 30 + MUCH_WAL, 30 + 2 * MUCH_WAL]


def test_inside_a_transaction_nothing_is_confirmed() -> None:
    bench = Bench([*transaction(10, "c"), *transaction(20, "c")[:2], Idle(999)])
    assert bench.confirmed() == []
    bench.reader.finish()
    assert bench.source.log[-1] != "flush"


def test_at_the_end_what_came_whole_is_confirmed() -> None:
    bench = Bench(transaction(10, "c"))
    bench.run()
    bench.reader.finish()
    assert bench.source.log[-1] == ("confirm", 15)


def test_an_end_before_anything_came_confirms_the_start() -> None:
    bench = Bench([])
    bench.run()
    bench.reader.finish()
    assert bench.source.log[-1] == ("confirm", START)


def test_what_cannot_become_durable_is_not_confirmed() -> None:
    bench = Bench([*transaction(10, "c"), Idle(15)])
    bench.sink.failing = True
    with pytest.raises(TargetError):
        bench.run()
    assert not any(isinstance(each, tuple) for each in bench.source.log)


def test_transactions_are_remembered_until_others_see_them() -> None:
    bench = Bench([*transaction(10, "c"), *transaction(20, "c"), Idle(25)])
    bench.visible = {10}
    record = next(each for each in bench.run() if isinstance(each, Control))
    assert bench.reader.xids == {20}
    assert msgspec.json.decode(record.value)["unseen"] == [20]
