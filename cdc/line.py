"""The line: one attempt at streaming, from the source's slot to the last warehouse, put together from the settings.

Everything is opened here, in the order in which it can fail most cheaply, and closed in the reverse order. The reader
runs in the caller's thread and each applier in one of its own. An attempt ends by its stop event, or by the first error
of any part; all state that matters is in the slot and in the warehouses, so the next attempt starts from there.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

import structlog

from cdc import registry
from cdc.applier import run_applier
from cdc.book import Book
from cdc.config import MEMORY, Config
from cdc.errors import CdcError, ConfigError
from cdc.interfaces import Checkpoint, Lookup, Mark, View, Warehouse
from cdc.lsn import Lsn, Position, format_lsn
from cdc.meeting import meet
from cdc.memory import MemoryPublisher, MemorySubscriber
from cdc.origin import check_origin, unseen
from cdc.progress import Progress, copied, decode_progress, encode_progress
from cdc.reader import Finish, Reader
from cdc.source.capture import Capture
from cdc.source.snapshot import ShownAlready, SnapshotJob
from cdc.source.stream import Stream

log = structlog.get_logger()

Until = Literal["stopped", "copied", "caught_up"]
SWITCH_INTERVAL = (
    0.0005  # an applier inside a warehouse's driver gets the GIL back from a busy reader this fast
)


class Line:
    """One attempt. `run` may be called once; the rest by any thread, while it runs."""

    def __init__(self, config: Config, book: Book, until: Until = "stopped") -> None:
        self._config = config
        self._book = book
        self._until = until
        self._reader: Reader | None = None
        self._warehouses: dict[str, Warehouse] = {}
        self.streaming = threading.Event()
        """Set while the slot streams."""
        self.streamed = False
        """It has streamed at some time."""

    def run(self, stop: threading.Event) -> None:
        """Stream until `stop` is set or `until` is met. Raises CdcError.

        A clean end applies and confirms all transactions that were received whole; the rest will be streamed again.
        """
        _tune_interpreter()
        with ExitStack() as opened:
            self._open_warehouses(opened)
            capture = opened.enter_context(Capture(self._config.source))
            slot = capture.ensure()
            states = {name: warehouse.state() for name, warehouse in self._warehouses.items()}
            for state in states.values():
                check_origin(state.controls, capture.origin, slot.confirmed_lsn, created=slot.created)
            publisher = self._start_appliers(opened, capture, states)
            controls = publisher.progress()
            stream = opened.enter_context(capture.stream())
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
            for state in states.values():
                reader.xids |= unseen(state.controls)
            publisher.publish(capture.origin.confirming(slot.confirmed_lsn, reader.xids))
            applied = max(_position(state, capture).commit_lsn for state in states.values())
            snapshot = self._copying(reader, capture, controls, applied, stop)
            opened.callback(snapshot.close)
            reader.skips.append(snapshot)
            reader.submit(snapshot)
            if self._until != "stopped":
                lsn = capture.current_lsn() if self._until == "caught_up" else 0
                reader.submit(Finish(lambda: snapshot.complete, lsn, stream.stop))
            opened.enter_context(_stopping(stop, stream))
            self._book.streaming(capture.where)
            self.streamed = True
            self.streaming.set()
            log.info("streaming", slot=slot.name, confirmed_lsn=format_lsn(slot.confirmed_lsn))
            try:
                reader.run()
                reader.finish()
            finally:
                self.streaming.clear()

    def meet(self, ask: Callable[[], Lsn], timeout: float) -> Mapping[str, View]:
        """Stand still while `ask` gives an LSN, then each warehouse with exactly the transactions that commit below it.

        The caller closes the views. Raises CdcError (see `cdc.meeting`).
        """
        if self._reader is None or not self.streaming.is_set():
            raise CdcError("the stream is not running", hint="see `cdc status`")
        return meet(self._reader.submit, self._views, self.streaming.is_set, ask, timeout)

    def _views(self) -> dict[str, View]:
        return {name: warehouse.view() for name, warehouse in self._warehouses.items()}

    def _open_warehouses(self, opened: ExitStack) -> None:
        kind = self._config.transport.kind
        if kind != MEMORY:
            raise ConfigError(
                f"[transport] kind = {kind!r} is not run by this version",
                why="its parts are there and tested, the commands that join them are not",
                hint=f'set kind = "{MEMORY}"',
            )
        if not self._config.warehouses:
            raise ConfigError(
                "no warehouse is configured", hint="add a [warehouses.NAME] table, see config.toml"
            )
        for name, settings in self._config.warehouses.items():
            warehouse = registry.load(settings.kind).connect(settings, name)
            opened.callback(warehouse.close)
            self._warehouses[name] = warehouse

    def _start_appliers(
        self, opened: ExitStack, capture: Capture, states: Mapping[str, Checkpoint]
    ) -> MemoryPublisher:
        limits = tuple(self._config.warehouses.values())
        publisher = MemoryPublisher(capture.origin.partition, self._config.transport, limits)
        threads = []
        for name, state in states.items():
            target = registry.load(self._config.warehouses[name].kind).describe(self._config.warehouses[name])
            self._book.target(name, target, state.marks.get(capture.origin.partition))
            subscriber = publisher.subscriber()
            subscriber.restore(state.controls)
            lookup = opened.enter_context(capture.lookup())
            threads.append(
                threading.Thread(
                    target=self._apply, args=(name, subscriber, lookup), name=f"applier {name}", daemon=True
                )
            )
        for thread in threads:
            opened.callback(thread.join)
        opened.callback(publisher.close)
        for thread in threads:
            thread.start()
        return publisher

    def _apply(self, name: str, subscriber: MemorySubscriber, lookup: Lookup) -> None:
        """An applier's thread. Whatever ends it ends the line: the reader raises it."""
        try:
            run_applier(
                subscriber,
                self._warehouses[name],
                lookup,
                self._book.applied(name),
                lambda: not subscriber.closed,
            )
        except BaseException as error:  # noqa: BLE001  handed to the reader
            subscriber.fail(error)

    def _copying(
        self,
        reader: Reader,
        capture: Capture,
        controls: Mapping[str, bytes],
        applied: Lsn,
        stop: threading.Event,
    ) -> SnapshotJob:
        """The job that copies what is not yet copied.

        Of a table whose changes go by meanwhile, no warehouse may keep a record of its copy: neither of one that is not captured
        any more, nor of one that is copied again because another warehouse lacks it.
        """
        copy = self._config.snapshot.mode == "initial"
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
                if progress.after is None:
                    reader.publisher.publish(encode_progress(str(table), Progress()))
        return SnapshotJob(
            capture,
            todo,
            chunk_rows=self._config.snapshot.chunk_rows,
            observer=self._book,
            not_before=applied,
            stopping=stop.is_set,
        )


def _position(state: Checkpoint, capture: Capture) -> Position:
    return state.marks.get(capture.origin.partition, Mark()).position


def _tune_interpreter() -> None:
    """Rows come and go by the hundred thousand and hold no cycles: looking for those took a tenth of the time."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(200_000, 20, 100)


@contextmanager
def _stopping(stop: threading.Event, stream: Stream) -> Iterator[None]:
    """Stops the stream when `stop` is set."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(0.1):
                stream.stop()
                return

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
