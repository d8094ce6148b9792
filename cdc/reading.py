"""The reader's half of a line: slot, snapshot and stream, into the transport's publisher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

import structlog

from cdc.book import Book
from cdc.config import Config
from cdc.ends import Ends
from cdc.interfaces import Publisher
from cdc.lsn import Lsn, format_lsn
from cdc.meters import measure_flushes
from cdc.origin import check_origin, recorded, unseen
from cdc.progress import Progress, copied, decode_progress, encode_progress
from cdc.reader import Finish, Job, Pulse, Reader
from cdc.source.capture import Capture
from cdc.source.publication import TableName
from cdc.source.shape_watch import ShapeWatch
from cdc.source.shown import ShownAlready
from cdc.source.slot import SlotInfo
from cdc.source.snapshot import SnapshotJob
from cdc.source.stream import Stream

log = structlog.get_logger()

Until = Literal["stopped", "copied", "caught_up"]
GRACE = 10.0  # seconds that a clean end may wait for a transport that takes nothing


class Reading:
    """One attempt. `submit` may be called by any thread while it runs."""

    def __init__(
        self, config: Config, book: Book, capture: Capture, until: Until, stop: threading.Event
    ) -> None:
        self._config = config
        self._book = book
        self._capture = capture
        self._until = until
        self._stop = stop
        self._reader: Reader | None = None
        self._stream: Stream | None = None
        self._slot: SlotInfo | None = None

    def submit(self, job: Job) -> None:
        """Have a job done in line (see `Reader.submit`)."""
        assert self._reader is not None
        self._reader.submit(job)

    def end(self) -> None:
        """End the stream after the events at hand."""
        if self._stream is not None:
            self._stream.stop()

    def prepare(self, ends: Ends) -> Publisher:
        """Have a slot that goes on from where the transport's control records say. Raises SlotLost, else."""
        slot = self._slot = self._capture.ensure()
        publisher = measure_flushes(ends.publisher(self._capture.origin), self._book.meters)
        for controls in ends.known():
            check_origin(controls, self._capture.origin, slot.confirmed_lsn, created=slot.created)
        return publisher

    def open(self, opened: ExitStack, ends: Ends, publisher: Publisher) -> None:
        """Begin to stream, with all that is to be done in line."""
        slot, capture, known = self._slot, self._capture, ends.known()
        assert slot is not None
        progress = publisher.progress()
        stream = self._stream = opened.enter_context(capture.stream())
        reader = self._reader = Reader(
            stream,
            publisher,
            origin=capture.origin,
            start=slot.confirmed_lsn,
            unseen=capture.unseen,
            flush_interval=self._config.source.flush_interval,
            published=self._book.published,
            drained=self._book.drained,
            forget=capture.forget_visible,
        )
        for controls in known:
            reader.xids |= unseen(controls)
        # The record may be ahead of the slot: the confirmation that it was written for may still be on its way.
        confirmed = max([slot.confirmed_lsn, *map(recorded, known)])
        publisher.publish(capture.origin.confirming(confirmed, reader.xids))
        snapshot = self._copying(reader, progress, ends.copies_begin_after(capture))
        opened.callback(snapshot.close)
        reader.skips.append(snapshot)
        reader.submit(snapshot)
        if interval := self._config.format.heartbeat_interval_ms:
            reader.submit(Pulse(interval / 1000))
        watch = self._watch(reader, snapshot, progress)
        if self._until != "stopped":
            lsn = capture.current_lsn() if self._until == "caught_up" else 0
            reader.submit(Finish(lambda: watch.settled and snapshot.complete, lsn, stream.stop))
        opened.enter_context(_stopping(self._stop, stream, ends.close))
        log.info("streaming", slot=slot.name, confirmed_lsn=format_lsn(slot.confirmed_lsn))

    def run(self) -> None:
        """Stream to the end, and make durable what came whole."""
        assert self._reader is not None
        self._reader.run()
        self._reader.finish()

    def _watch(self, reader: Reader, snapshot: SnapshotJob, controls: Mapping[str, bytes]) -> ShapeWatch:
        """The job that has tables copied anew whose rows have changed unseen."""

        def copy(name: TableName, reason: str) -> None:
            again = self._config.snapshot.mode != "no_data" and self._config.snapshot.rewritten == "copy"
            said = f"{reason}: {'it is copied anew' if again else 'the target keeps its rows as they are'}"
            log.warning("table_changed", table=str(name), why=said)
            self._book.note("schema_change", said, table=str(name))
            if again:
                reader.publisher.publish(encode_progress(str(name), Progress()))
                self._book.copied_again(str(name))
                snapshot.add(name, Progress())

        watch = ShapeWatch(self._capture, controls, copy)
        watch.look(reader.publisher)
        self._capture.described = watch.described
        reader.submit(watch)
        return watch

    def _copying(self, reader: Reader, controls: Mapping[str, bytes], not_before: Lsn) -> SnapshotJob:
        """The job that copies what is not yet copied.

        Of a table whose changes go by meanwhile, no warehouse may keep a record of its copy: neither of one that is not captured
        any more, nor of one that is copied again because another warehouse lacks it.
        """
        capture = self._capture
        copy = self._config.snapshot.mode != "no_data"
        todo = {}
        for name in copied(controls).difference(map(str, capture.oids)):
            reader.publisher.publish(encode_progress(name, Progress()))
        for table, oid in capture.oids.items():
            progress = decode_progress(controls, str(table))
            if not progress.is_of(oid):
                log.info("table_made_anew", table=str(table))
                progress = Progress()
            self._book.captured(str(table), copied=progress.done or not copy, rows=progress.rows)
            if progress.shown:
                reader.skips.append(ShownAlready(str(table), progress))
            if copy and not progress.done:
                todo[table] = progress
                if not progress.begun:
                    reader.publisher.publish(encode_progress(str(table), Progress()))
        return SnapshotJob(
            capture,
            todo,
            settings=self._config.snapshot,
            observer=self._book,
            not_before=not_before,
            stopping=self._stop.is_set,
        )


@contextmanager
def _stopping(stop: threading.Event, stream: Stream, let_go: Callable[[], None]) -> Iterator[None]:
    """Stops the stream when `stop` is set, and lets the reader go if it is then held up for long."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(0.1):
                stream.stop()
                if not over.wait(GRACE):
                    let_go()
                return

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
