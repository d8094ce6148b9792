"""What the reader does between transactions, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cdc.events import Begin, Change, Control, Idle, Truncate
from cdc.lsn import END, Lsn, Position
from cdc.reader import Finish, Reader
from tests.fixtures.reading import TABLE, Bench, names, transaction


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
    concerned = True

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
