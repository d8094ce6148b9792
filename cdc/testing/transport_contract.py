"""The promises of `cdc.interfaces.Publisher` and `Subscriber`, as tests that any transport can be put to.

    class TestMine(TransportContract):
        @pytest.fixture
        def transport(self, tmp_path: Path) -> Transport:
            return MyTransport(tmp_path)

A `Transport` opens both ends. The tests stand in for the reader, which publishes from the last confirmed transaction on, again if
it has to, and for the applier with its warehouse (`Sink`). Needs pytest.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from cdc.errors import Stopped
from cdc.events import Begin, Change, Commit, Control, Event
from cdc.interfaces import Batch, Mark, Publisher, Subscriber
from cdc.lsn import Position
from cdc.testing.targets import KEYED, KEYLESS

PATIENCE = 60.0


class Sink:
    """What an applier and its warehouse do: take batches, keep events with marks and controls, commit."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.marks: dict[str, Mark] = {}
        self.controls: dict[str, bytes] = {}
        self.batches: list[Batch] = []
        self._open: list[Change] = []
        self.failure: BaseException | None = None
        self._changed = threading.Condition()

    def take(self, subscriber: Subscriber, batch: Batch, *, commit: bool = True) -> None:
        self._open += [event for event in batch.events if isinstance(event, Change)]
        if batch.checkpoint is not None:
            with self._changed:
                self.batches.append(batch)
                self.changes += self._open
                self._open = []
                self.marks.update(batch.checkpoint.marks)
                self.controls.update(batch.checkpoint.controls)
                self._changed.notify_all()
            if commit:
                subscriber.commit(batch)

    @contextmanager
    def attached(self, subscriber: Subscriber) -> Iterator[None]:
        """Takes batches in a thread, from its marks on."""
        stop = threading.Event()
        self._open = []

        def run() -> None:
            try:
                subscriber.seek(self.marks)
                while not stop.is_set():
                    batch = subscriber.receive(0.1)
                    if batch is not None:
                        self.take(subscriber, batch)
            except BaseException as error:  # noqa: BLE001  raised by `expect`
                with self._changed:
                    self.failure = error
                    self._changed.notify_all()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE)

    def expect(self, changes: Sequence[Change]) -> None:
        """Wait until it has as many; they are these, each once, and those of a key in order."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.changes) >= len(changes) or self.failure, PATIENCE)
            if self.failure is not None:
                raise self.failure
            assert by_key(self.changes) == by_key(changes)


def by_key(changes: Sequence[Change]) -> dict[object, list[Position]]:
    """Per key (or table without one), the positions in the order in which they came."""
    found: defaultdict[object, list[Position]] = defaultdict(list)
    for change in changes:
        row = change.new if change.new is not None else change.old
        assert row is not None
        found[change.table.full_name, tuple(row[i] for i in change.table.key)].append(change.position)
    return dict(found)


def transaction(lsn: int, keys: Sequence[int], *, keyless: int = 0) -> list[Event]:
    """One source transaction: a change per key, and some of a table without one."""
    begin = Begin(lsn, 1_700_000_000_000_000 + lsn, lsn % 1000)
    rows = [(KEYED, (b"%d" % key, b"note", b"%d" % lsn)) for key in keys]
    rows += [(KEYLESS, (b"note", b"%d" % lsn))] * keyless  # type: ignore[list-item]
    changes = [Change(table, "c", None, row, begin, n, lsn, 40) for n, (table, row) in enumerate(rows, 1)]
    return [begin, *changes, Commit(begin, lsn + 1, len(changes))]


def history(first: int, count: int) -> list[Event]:
    """Transactions of a few changes each over a few keys, so that keys change again and again."""
    lsns = range(first * 10, (first + count) * 10, 10)
    return [
        event for lsn in lsns for event in transaction(lsn, [lsn % 7, lsn % 3 + 10, lsn % 11 + 20], keyless=1)
    ]


def changes_of(events: Sequence[Event]) -> list[Change]:
    return [event for event in events if isinstance(event, Change)]


def publish(publisher: Publisher, events: Sequence[Event]) -> None:
    for event in events:
        publisher.publish(event)


class Transport(ABC):
    """One transport, empty at first; made anew for every test."""

    @abstractmethod
    def open(self, sink: Sink) -> tuple[Publisher, Subscriber]:
        """Both ends, again after they were closed. The sink has what the warehouse knows of earlier runs."""


class TransportContract:
    """Subclass it and give the fixture `transport`."""

    def test_what_is_published_arrives_once_and_in_order(self, transport: Transport) -> None:
        sink, events = Sink(), history(1, 300)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)
            publisher.flush()
            sink.expect(changes_of(events))
        for batch in sink.batches:
            assert batch.checkpoint is not None
            assert len(batch.checkpoint.marks) == 1
            assert batch.rows == len(changes_of(batch.events))
        publisher.close()
        subscriber.close()

    def test_what_was_flushed_is_durable(self, transport: Transport) -> None:
        sink, events = Sink(), history(1, 20)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)
            publisher.flush()
        publisher.close()
        subscriber.close()
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            sink.expect(changes_of(events))
        publisher.close()
        subscriber.close()

    def test_what_a_reader_publishes_again_is_not_given_again(self, transport: Transport) -> None:
        sink = Sink()
        everything = [*history(1, 30), *history(31, 30), *history(61, 30)]
        for start, end in ((1, 61), (31, 61), (1, 91)):
            publisher, subscriber = transport.open(sink)
            with sink.attached(subscriber):
                publish(publisher, history(start, end - start))
                publisher.flush()
                sink.expect(changes_of(history(1, end - 1)))
            publisher.close()
            subscriber.close()
        assert by_key(sink.changes) == by_key(changes_of(everything))

    def test_what_was_not_committed_comes_again(self, transport: Transport) -> None:
        sink, lost, events = Sink(), Sink(), history(1, 50)
        publisher, subscriber = transport.open(sink)
        subscriber.seek({})
        publish(publisher, events)
        flushing = threading.Thread(target=lambda: _ignoring(publisher.flush), daemon=True)
        flushing.start()
        until = time.monotonic() + PATIENCE
        while not lost.changes and time.monotonic() < until:
            if batch := subscriber.receive(0.5):
                lost.take(subscriber, batch, commit=False)
        assert lost.changes
        subscriber.close()
        publisher.close()
        flushing.join(PATIENCE)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)  # they were not confirmed
            publisher.flush()
            sink.expect(changes_of(events))
        publisher.close()
        subscriber.close()

    def test_a_transaction_larger_than_a_batch_arrives_whole(self, transport: Transport) -> None:
        sink, events = Sink(), transaction(10, range(5000), keyless=100)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)
            publisher.flush()
            sink.expect(changes_of(events))
        publisher.close()
        subscriber.close()

    def test_progress_is_the_last_control_of_each_key(self, transport: Transport) -> None:
        sink = Sink()
        publisher, subscriber = transport.open(sink)
        assert publisher.progress() == {}
        with sink.attached(subscriber):
            for key, value in (("a", b"1"), ("b", b"\x00\xff"), ("a", b"2")):
                publisher.publish(Control(key, value))
                publisher.flush()
            publisher.publish(Control("a", b"3"))
            publisher.publish(Control("c", b"lost"))
            publisher.publish(Control("c", b""))
            publisher.flush()
        publisher.close()
        subscriber.close()
        publisher, subscriber = transport.open(sink)
        assert publisher.progress() == {"a": b"3", "b": b"\x00\xff", "c": b""}
        publisher.close()
        subscriber.close()

    def test_nothing_comes_where_nothing_is(self, transport: Transport) -> None:
        publisher, subscriber = transport.open(Sink())
        subscriber.seek({})
        begun = time.monotonic()
        assert subscriber.receive(0.2) is None
        assert time.monotonic() - begun < PATIENCE / 4
        publisher.flush()
        publisher.close()
        subscriber.close()

    def test_closing_twice(self, transport: Transport) -> None:
        publisher, subscriber = transport.open(Sink())
        for _ in range(2):
            publisher.close()
            subscriber.close()
        assert subscriber.receive(1.0) is None
        with pytest.raises(Stopped):
            publisher.flush()


def _ignoring(flush: object) -> None:
    """A flush that a close interrupts."""
    try:
        flush()  # type: ignore[operator]
    except Stopped:
        return
