"""What the contract suite puts a transport to the test with: a source's history, and the `Sink` that stands in for an applier."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cdc.events import Begin, Change, Commit, Event
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
