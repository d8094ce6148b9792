"""The reader's half of a line: slot, snapshot and stream, into the transport's publisher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

import structlog

from cdc.book import Book
from cdc.config import MEMORY, Config
from cdc.copy_plan import CopyPlan
from cdc.copy_request import CopyRequest, anew
from cdc.ends import Ends
from cdc.errors import SlotAhead, SlotLost
from cdc.interfaces import Publisher
from cdc.lag import telling
from cdc.lsn import Lsn, format_lsn
from cdc.meters import measure_flushes
from cdc.origin import check_history, check_origin, last_seen, recorded, unseen
from cdc.progress import Progress, encode_progress
from cdc.reader import MUCH_WAL, Finish, Job, Pulse, Reader, Telling
from cdc.source.capture import Capture
from cdc.source.publication import TableName
from cdc.source.recopy import Discovery, Recopy
from cdc.source.shape_watch import ShapeWatch
from cdc.source.slot import SlotInfo
from cdc.source.snapshot import SnapshotJob
from cdc.source.stream import Stream

log = structlog.get_logger()

Until = Literal["stopped", "copied", "caught_up"]
REQUEST_SECONDS = 60.0  # that a request may wait for the end of a transaction
GRACE = 10.0  # seconds that a clean end may wait for a transport that takes nothing


class Reading:
    """One attempt. `submit` may be called by any thread while it runs."""

    def __init__(
        self,
        config: Config,
        book: Book,
        capture: Capture,
        until: Until,
        stop: threading.Event,
        request: CopyRequest | None = None,
        *,
        first: bool = True,
    ) -> None:
        self._config = config
        self._book = book
        self._capture = capture
        self._until = until
        self._stop = stop
        self._request = request
        self._first = first  # of the attempts
        self._lost = False  # the slot was: nothing that was copied is of use
        self._snapshot: SnapshotJob | None = None
        self._reader: Reader | None = None
        self._stream: Stream | None = None
        self._slot: SlotInfo | None = None

    def submit(self, job: Job) -> None:
        """Have a job done in line (see `Reader.submit`)."""
        assert self._reader is not None
        self._reader.submit(job)

    def copy(self, request: CopyRequest) -> list[str]:
        """Have tables copied; gives those that the request names. Raises CdcError."""
        assert self._snapshot is not None
        job = Recopy(request, self._capture, self._snapshot, self._book.copied_again)
        self.submit(job)
        return job.wait(REQUEST_SECONDS)

    def end(self) -> None:
        """End the stream after the events at hand."""
        if self._stream is not None:
            self._stream.stop()

    def prepare(self, ends: Ends, take_in: Callable[[str, Lsn], bool]) -> Publisher:
        """Have a slot that goes on from where the transport's control records say. Raises SlotLost, else.

        In the mode when_needed a lost slot is made anew, and whatever was copied is to be copied again. Else `take_in`
        is asked of a warehouse that the slot is ahead of: may it go on from there?
        """
        capture = self._capture
        needed = self._config.snapshot.mode == "when_needed"
        try:
            slot = capture.ensure()
        except SlotLost as error:
            if not needed:
                raise
            slot = self._renew(error)
        self._slot = slot
        publisher = measure_flushes(ends.publisher(capture.origin), self._book.meters)
        for name, controls in ends.known().items():
            created = slot.created or self._lost
            try:
                try:
                    check_origin(controls, capture.origin, slot.confirmed_lsn, created=created)
                except SlotAhead:
                    if needed or not take_in(name, slot.confirmed_lsn):
                        raise
                check_history(controls, capture.here, ends.applied())
            except SlotLost as error:
                if not needed or not capture.origin.is_of(controls):
                    raise
                self._lost = True
                log.warning("copied_anew", why=str(error))
        return publisher

    def _renew(self, error: SlotLost) -> SlotInfo:
        self._lost = True
        log.warning("slot_made_anew", why=str(error))
        return self._capture.renew()

    def open(self, opened: ExitStack, ends: Ends, publisher: Publisher) -> None:
        """Begin to stream, with all that is to be done in line."""
        slot, capture, known = self._slot, self._capture, list(ends.known().values())
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
            patience=ends.patience,
            much_wal=min(MUCH_WAL, self._config.source.retained_limit_bytes // 2 or MUCH_WAL),
            published=self._book.published,
            drained=self._book.drained,
            forget=capture.forget_visible,
            flush_copies=self._config.transport.kind != MEMORY,
        )
        for controls in known:
            reader.xids |= unseen(controls)
            if not self._lost:
                reader.seen = max(reader.seen, last_seen(controls))
        snapshot = self._snapshot = self._copying(reader, progress, ends.copies_begin_after(capture))
        # The record may be ahead of the slot: the confirmation that it was written for may still be on its way.
        confirmed = max([slot.confirmed_lsn, *([] if self._lost else map(recorded, known))])
        publisher.publish(capture.origin.confirming(confirmed, reader.xids, reader.seen))
        opened.callback(snapshot.close)
        publisher.flush()  # what is to be copied anew is known as such, whatever happens now
        reader.skips.append(snapshot)
        reader.submit(snapshot)
        if interval := self._config.format.heartbeat_interval_ms:
            reader.submit(Pulse(interval / 1000))
        if self._config.transport.kind != MEMORY:
            reader.submit(Telling(lambda: self._book.received.proved_at, telling))
        watch = self._watch(reader, snapshot, progress)
        if self._until != "stopped":
            lsn = capture.current_lsn() if self._until == "caught_up" else 0
            reader.submit(
                Finish(lambda: watch.settled and snapshot.complete and not self._book.ahead, lsn, stream.stop)
            )
        else:
            reader.submit(Discovery(capture, self._found, self._config.snapshot.discover_interval))
        opened.enter_context(_stopping(self._stop, stream, ends.close))
        log.info("streaming", slot=slot.name, confirmed_lsn=format_lsn(slot.confirmed_lsn))

    def run(self) -> None:
        """Stream to the end, and make durable what came whole."""
        assert self._reader is not None
        self._reader.run()
        self._reader.finish()

    def _watch(self, reader: Reader, snapshot: SnapshotJob, controls: Mapping[str, bytes]) -> ShapeWatch:
        """The job that has tables copied anew whose rows have changed unseen."""

        def copy(name: TableName, reason: str, beside: bool) -> None:
            again = self._config.snapshot.mode != "no_data" and self._config.snapshot.rewritten == "copy"
            said = f"{reason}: {'it is copied anew' if again else 'the target keeps its rows as they are'}"
            log.warning("table_changed", table=str(name), why=said)
            self._book.note("schema_change", said, table=str(name))
            if again:
                progress = anew(snapshot.progress(name)) if beside else Progress()
                reader.publisher.publish(encode_progress(str(name), progress))
                self._book.copied_again(str(name))
                snapshot.add(name, progress)

        watch = ShapeWatch(self._capture, controls, copy)
        watch.look(reader.publisher)
        self._capture.described = watch.described
        reader.submit(watch)
        return watch

    def _copying(self, reader: Reader, controls: Mapping[str, bytes], not_before: Lsn) -> SnapshotJob:
        """The job that copies what is not yet copied."""
        plan = CopyPlan(self._config.snapshot, self._request, lost=self._lost, first=self._first)
        plan.make(self._capture.oids, controls, reader, self._book)
        assert self._slot is not None
        return SnapshotJob(
            self._capture,
            plan.todo,
            settings=self._config.snapshot,
            observer=self._book,
            known=plan.known,
            left_out=plan.left_out,
            not_before=not_before,
            new_after=0 if self._slot.created else self._capture.current_lsn() - 1,
            stopping=self._stop.is_set,
        )

    def _found(self, table: TableName) -> None:
        """A table that was not there before."""
        copy = self._config.snapshot.mode != "no_data"
        self._book.captured(str(table), copied=not copy, rows=0)
        if copy and self._snapshot is not None:
            had_its_name = self._snapshot.progress(table).oid  # rows of that one may be on their way
            self._snapshot.add(table, Progress(), self._capture.current_lsn() - 1 if had_its_name else 0)


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
