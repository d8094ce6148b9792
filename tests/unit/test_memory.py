"""The embedded transport: order, back-pressure, what is durable, and ends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace as replaced

from cdc.errors import Stopped, TargetError
from cdc.events import Chunk, Control
from cdc.interfaces import Mark
from cdc.lsn import END, START, Position
from cdc.memory import ROW_OVERHEAD
from tests.fixtures.transport import (
    Transport,
    chunk,
    commit_all,
    eventually_waits,
    position,
    publish,
    received,
    transaction,
)


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def aside() -> Any:
    """Runs something in a thread; `.result()` raises what it raised."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


def test_order_and_whole_transactions(transport: Transport) -> None:
    publisher = transport.make()
    sent = [event for lsn in (10, 20, 30, 40) for event in transaction(lsn, rows=2)]
    publish(publisher, *sent)
    batches = received(transport.subscribers[0])
    assert [event for batch in batches for event in batch.events] == sent
    assert [position(batch) for batch in batches] == [Position(20, END), Position(40, END)]
    assert [(batch.rows, batch.size, batch.commit_us) for batch in batches] == [
        (4, 40, 20_000),
        (4, 40, 40_000),
    ]


@pytest.mark.parametrize(
    ("settings", "now"), [({"batch_rows": 1}, 0), ({"batch_bytes": 1 << 16}, 0), ({"batch_rows": 1000}, 10)]
)
def test_a_batch_ends_by_rows_bytes_or_age(transport: Transport, settings: dict[str, int], now: int) -> None:
    publisher = transport.make(**{"batch_rows": 100, **settings})
    begin, change, commit = transaction(10, size=1 << 16 if "batch_bytes" in settings else 10)
    publish(publisher, begin, change)
    transport.now = now
    assert transport.subscribers[0].receive(0) is None
    publish(publisher, commit)
    assert len(received(transport.subscribers[0])) == 1


def test_who_is_behind_gets_more_at_a_time(transport: Transport) -> None:
    """Age ends a batch only while a subscriber has nothing to do: to each that waits, what comes next is added up to its rows."""
    publisher = transport.make(batch_rows=5, max_delay=0.0, count=2)
    fast, slow = transport.subscribers
    publish(publisher, *transaction(10))
    commit_all(fast)
    publish(publisher, *transaction(20))
    commit_all(fast)
    publish(publisher, *transaction(30))  # now both have something
    publish(publisher, *(event for lsn in range(40, 80, 10) for event in transaction(lsn)))
    assert [batch.rows for batch in received(fast)] == [1]
    publish(publisher, *transaction(80))
    assert [batch.rows for batch in received(fast)] == [5]
    assert [batch.rows for batch in received(slow)] == [1, 1, 1, 5]


def test_a_large_transaction_comes_in_pieces_without_checkpoint(transport: Transport) -> None:
    publisher = transport.make()
    sent = [*transaction(5), *transaction(10, rows=14)]
    publish(publisher, Control("k", b"v"), *sent)
    batches = received(transport.subscribers[0])
    assert [batch.rows for batch in batches] == [6, 6, 3]
    assert [batch.checkpoint is None for batch in batches] == [True, True, False]
    assert batches[-1].checkpoint is not None
    assert batches[-1].checkpoint.controls == {"k": b"v"}
    assert [event for batch in batches for event in batch.events] == sent
    with pytest.raises(ValueError, match="inside a transaction"):
        transport.subscribers[0].commit(batches[0])


def test_back_pressure(transport: Transport, aside: Callable[..., Future[None]]) -> None:
    """A publisher waits for the slowest of its subscribers, and asking for the next batch makes room, also by pieces."""
    publisher = transport.make(count=2)
    fast, slow = transport.subscribers
    piece = (1 << 20) // 12  # six of them and their overhead: half of what may wait
    future = aside(publish, publisher, *transaction(10, rows=18, size=piece - ROW_OVERHEAD))
    eventually_waits(future)
    assert (fast.weight, slow.weight) == (6 * piece * 2, 6 * piece * 2)
    first = [fast.receive(0), fast.receive(0)]
    eventually_waits(future)
    assert slow.receive(0) is not None  # it works on the first and holds it still
    eventually_waits(future)
    assert slow.receive(0) is not None
    future.result(5)
    assert all(batch and batch.checkpoint is None for batch in first)
    assert max(fast.weight, slow.weight) <= 1 << 20


def test_a_batch_beyond_the_bound_passes_alone(transport: Transport) -> None:
    publisher = transport.make()
    publish(publisher, *transaction(10, size=17 << 20), *transaction(20))
    assert [batch.rows for batch in received(transport.subscribers[0])] == [
        1
    ]  # by its bytes; the next is still filled


def test_flush_waits_for_every_warehouse(transport: Transport, aside: Callable[..., Future[None]]) -> None:
    publisher = transport.make(count=2)
    publish(publisher, *transaction(10))
    future = aside(publisher.flush)
    eventually_waits(future)
    commit_all(transport.subscribers[0])
    eventually_waits(future)
    commit_all(transport.subscribers[1])
    future.result(5)
    publisher.flush()  # nothing to wait for


def test_an_applier_that_fails_is_met_by_the_reader(
    transport: Transport, aside: Callable[..., Future[None]]
) -> None:
    publisher = transport.make(count=2)
    publish(publisher, *transaction(10))
    future = aside(publisher.flush)
    eventually_waits(future)
    transport.subscribers[1].fail(TargetError("full"))
    transport.subscribers[0].fail(TargetError("later"))
    with pytest.raises(TargetError, match="full"):
        future.result(5)
    with pytest.raises(TargetError, match="full"):
        publish(publisher, *transaction(20, rows=9))


def test_a_failure_ends_waiting_for_room(transport: Transport, aside: Callable[..., Future[None]]) -> None:
    publisher = transport.make()
    future = aside(
        publish, publisher, *(event for lsn in range(10, 50) for event in transaction(lsn, size=1 << 19))
    )
    eventually_waits(future)
    transport.subscribers[0].fail(TargetError("full"))
    with pytest.raises(TargetError, match="full"):
        future.result(5)


def test_a_subscriber_ahead_of_the_others_skips_what_it_has(transport: Transport) -> None:
    publisher = transport.make(count=2, batch_rows=100)
    ahead, behind = transport.subscribers
    ahead.seek({"p": Mark(Position(20, END)), "other": Mark(Position(99, END))})
    behind.seek({})
    sent = [*transaction(10), *transaction(20, rows=2), *transaction(30)]
    publish(publisher, *sent[:7])
    publisher._hand_over(complete=True)
    publish(publisher, *sent[7:])
    publisher._hand_over(complete=True)
    mine, others = received(ahead), received(behind)
    assert [event for batch in others for event in batch.events] == sent
    assert [event for batch in mine for event in batch.events] == sent[7:]
    assert [(batch.rows, position(batch)) for batch in mine] == [
        (0, Position(20, END)),
        (1, Position(30, END)),
    ]


def test_a_mark_never_goes_back_when_all_was_skipped(transport: Transport) -> None:
    publisher = transport.make()
    subscriber = transport.subscribers[0]
    subscriber.seek({"p": Mark(Position(50, END))})
    publish(publisher, *transaction(10, rows=9))
    assert [position(batch) for batch in received(subscriber) if batch.checkpoint] == [Position(50, END)]


def test_a_chunk_is_a_batch_of_its_own(transport: Transport) -> None:
    publisher = transport.make()
    publish(publisher, *transaction(10), chunk(), *transaction(20), Control("k", b"v"))
    publisher._hand_over(complete=True)
    batches = received(transport.subscribers[0])
    assert [isinstance(batch.events[0], Chunk) for batch in batches] == [False, True, False]
    assert [batch.checkpoint and batch.checkpoint.controls for batch in batches] == [
        {},
        {"copy": b"1"},
        {"k": b"v"},
    ]
    assert [position(batch) for batch in batches] == [Position(10, END), Position(10, END), Position(20, END)]
    assert batches[1].commit_us == 0


def test_the_parts_of_a_chunk_are_one_batch_as_far_as_it_is_not_too_large(transport: Transport) -> None:
    publisher = transport.make()
    publisher._max_bytes = 64 << 20
    large = replaced(chunk(), csv=b"1\n" * (6 << 20), part=True)  # 12 MB of 64
    publish(publisher, large, large, large)
    batches = received(transport.subscribers[0])
    publish(publisher, chunk(), chunk())
    batches += received(transport.subscribers[0])
    assert [len(batch.events) for batch in batches if batch.checkpoint] == [2, 2, 1]


def test_a_chunk_before_any_commit_has_no_position(transport: Transport) -> None:
    publisher = transport.make()
    publish(publisher, chunk())
    assert [position(batch) for batch in received(transport.subscribers[0])] == [START]


def test_controls_survive_where_all_warehouses_agree(transport: Transport) -> None:
    publisher = transport.make(count=2)
    first, second = transport.subscribers
    first.restore({"both": b"1", "differs": b"1", "one": b"1"})
    second.restore({"both": b"1", "differs": b"2"})
    assert publisher.progress() == {"both": b"1"}
    publish(publisher, chunk(value=b"done"))
    commit_all(first)
    assert publisher.progress() == {"both": b"1"}
    commit_all(second)
    assert publisher.progress() == {"both": b"1", "copy": b"done"}


def test_close_wakes_everybody(transport: Transport, aside: Callable[..., Future[Any]]) -> None:
    publisher = transport.make()
    waiting = aside(transport.subscribers[0].receive, 60)
    eventually_waits(waiting)
    publisher.close()
    publisher.close()
    assert waiting.result(5) is None
    assert transport.subscribers[0].receive(60) is None
    with pytest.raises(Stopped):
        publish(publisher, *transaction(10, rows=9))
