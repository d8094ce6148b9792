"""The reader's rules: when it flushes and confirms, when jobs are done, and what it leaves out. A stream is a list here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from cdc.errors import TargetError
from cdc.events import Begin, Change, Commit, Control, Event, Idle, Truncate
from cdc.lsn import END, Lsn, Position
from cdc.origin import ORIGIN, Origin
from cdc.reader import IDLE_FLUSH, Finish, Reader
from cdc.schema import Column, LogicalType, Table

TABLE = Table("public", "t", (Column("id", LogicalType("int4")),), primary_key=(0,), identity=(0,))
START = 5


@dataclass
class Source:
    """Gives what is listed; a callable is called in its place."""

    script: list[Event | Idle | Callable[[], object]]
    log: list[object] = field(default_factory=list)
    woken: int = 0

    def __iter__(self) -> Iterator[Event | Idle]:
        for each in self.script:
            if callable(each):
                each()
            else:
                yield each

    def confirm(self, lsn: Lsn) -> None:
        self.log.append(("confirm", lsn))

    def wake(self) -> None:
        self.woken += 1


@dataclass
class Sink:
    """A publisher that notes what it gets, in the log of the source."""

    log: list[object]
    failing: bool = False

    def publish(self, event: Event) -> None:
        self.log.append(event)

    def flush(self) -> None:
        if self.failing:
            raise TargetError("full")
        self.log.append("flush")

    def progress(self) -> Mapping[str, bytes]:
        return {}

    def close(self) -> None: ...


@dataclass
class Bench:
    """A reader over a script, with a clock that is set by hand."""

    script: Iterable[Event | Idle | Callable[[], object]]
    now: float = 0.0
    visible: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.source = Source(list(self.script))
        self.sink = Sink(self.source.log)
        self.reader = Reader(
            self.source,
            self.sink,
            origin=Origin(7, "db", "slot"),
            start=START,
            flush_interval=2.0,
            forget=lambda xids: xids.difference_update(self.visible),
            clock=lambda: self.now,
        )

    def pass_time(self, seconds: float) -> Callable[[], object]:
        def act() -> None:
            self.now += seconds

        return act

    def run(self) -> list[object]:
        self.reader.run()
        return self.source.log

    def confirmed(self) -> list[Lsn]:
        return [each[1] for each in self.run() if isinstance(each, tuple) and each[0] == "confirm"]


def transaction(lsn: int, *ops: str) -> list[Event]:
    begin = Begin(lsn, 0, lsn)
    rows = [Change(TABLE, op, None, (b"1",), begin, n, lsn, 1) for n, op in enumerate(ops, 1)]
    return [begin, *rows, Commit(begin, lsn + 5, len(rows))]


def names(log: Iterable[object]) -> list[str]:
    return [each if isinstance(each, str) else type(each).__name__ for each in log]


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


@dataclass
class Barrier:
    """A job for exactly one point of the stream: where all that commits below an LSN is durable."""

    lsn: Lsn
    reached: Callable[[], None]

    def due(self, reader: Reader) -> bool:
        return reader.received >= self.lsn

    def step(self, reader: Reader) -> bool:
        reader.flush()
        self.reached()
        return True


def test_a_job_for_an_lsn_stands_exactly_before_it() -> None:
    bench = Bench([*transaction(10, "c"), *transaction(20, "c"), *transaction(30, "c"), Idle(99)])
    seen: list[Position] = []
    for lsn in (11, 30, 99):
        bench.reader.submit(Barrier(lsn, lambda: seen.append(bench.reader.position)))
    bench.run()
    assert seen == [Position(10, END), Position(20, END), Position(30, END)]
    assert bench.source.woken >= 3


@dataclass
class Piece:
    """A job of several steps, which publishes as a copy does."""

    steps: int

    def due(self, reader: Reader) -> bool:
        return True

    def step(self, reader: Reader) -> bool:
        reader.publisher.publish(Control("piece", b""))
        self.steps -= 1
        return self.steps <= 0


def test_a_job_for_an_lsn_behind_a_long_one_does_not_miss_its_place() -> None:
    bench = Bench([*transaction(10, "c"), *transaction(20, "c"), *transaction(30, "c"), Idle(99)])
    seen: list[Position] = []
    bench.reader.submit(Piece(100))
    bench.reader.submit(Barrier(20, lambda: seen.append(bench.reader.position)))
    bench.run()
    assert seen == [Position(10, END)]


def test_jobs_are_done_between_transactions_and_when_idle() -> None:
    bench = Bench([*transaction(10, "c"), *transaction(20, "c"), Idle(25), Idle(25)])
    bench.reader.submit(Piece(3))
    log = [name for name in names(bench.run()) if name in ("Begin", "Commit", "Control", "flush")]
    assert log == ["Control", "Begin", "Commit", "Control", "Begin", "Commit", "Control", "flush", "Control"]


def test_finish_ends_once_all_is_complete_and_reached() -> None:
    ended: list[Lsn] = []
    complete = iter((False, True, True, True))
    bench = Bench([*transaction(10, "c"), Idle(15), *transaction(20, "c"), Idle(25)])
    bench.reader.submit(Finish(lambda: next(complete), 20, lambda: ended.append(bench.reader.received)))
    assert ("confirm", 20) in bench.run()
    assert ended == [20]


@dataclass
class SkipOdd:
    """Leaves out transactions of odd xids, up to an LSN."""

    until: Lsn

    def covers(self, event: Change | Truncate) -> bool:
        return event.begin.xid % 2 == 1 and event.begin.commit_lsn < self.until

    def over(self, position: Position) -> bool:
        return position.commit_lsn >= self.until


def test_what_a_copy_has_shown_is_left_out() -> None:
    truncate = Truncate(TABLE, Begin(13, 0, 13), 1, 13)
    script = [
        *transaction(11, "c"),
        *transaction(12, "c"),
        Begin(13, 0, 13),
        truncate,
        *transaction(13)[1:],
        *transaction(15, "c"),
    ]
    bench = Bench(script)
    bench.reader.skips.append(SkipOdd(15))
    published = [each.begin.commit_lsn for each in bench.run() if isinstance(each, Change | Truncate)]
    assert published == [12, 15]
    assert bench.reader.skips == []
