"""The daemon: keeps a line running. An attempt that fails for a passing reason is followed by another, with back-off.

The first attempt is different: until it streams, any error ends the daemon, so that a person who starts it sees what is wrong
(and a supervisor, from exit code 75, that it may try again).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
import structlog
import tenacity
from prometheus_client import CollectorRegistry

from cdc.book import Book
from cdc.config import MEMORY, Config
from cdc.copy_request import CopyRequest
from cdc.errors import CdcError, SlotInUse, TargetError
from cdc.halt import Halt
from cdc.left_behind import NOBODY, Knocking, not_compared, stand_by
from cdc.line import ALL, Line, Parts
from cdc.log_watch import LogWatch
from cdc.query import Gone, Lines, QueryRequest, Questions
from cdc.reading import Until
from cdc.settled import settled
from cdc.shedding import Shedding
from cdc.source.slot_status import SlotWatch
from cdc.status import Sample, Status
from cdc.verify import Report, verify
from cdc.watch import Watch

log = structlog.get_logger()

LIMIT = 1_000  # keys per table and kind that are compared again
STEADY = 60.0  # seconds of streaming after which the next failure counts as the first


class Daemon:
    """One daemon over a configuration. `run` blocks; everything else may be called by other threads meanwhile.

    `until` ends `run` by itself: `copied`, when every captured table is in the warehouses, as of one commit; `caught_up`, when
    in addition all that was committed in the source at the start is. `request` says which tables are copied, if not all.
    """

    def __init__(
        self,
        config: Config,
        until: Until = "stopped",
        parts: Parts = ALL,
        request: CopyRequest | None = None,
    ) -> None:
        self._request = request
        self.config = config
        self.book = Book(_here(config, parts))
        self._slot = SlotWatch(config.source)
        self._log = LogWatch(config, lambda: self.book.received.lsn, reader=parts.reader)
        self._until = until
        self._parts = parts
        self._patience = config.source.slot_wait
        self._paused = threading.Event()
        self._questions = Questions(config, lambda name: self.line(5.0).warehouse(name))
        self._line: Line | None = None
        self._begun = 0.0
        self._streamed = False
        self._failures = 0
        parks = config.source.retained_policy == "park" and config.transport.kind == MEMORY
        self._shedding = Shedding(config.warehouses, enabled=parks)
        self._again = threading.Event()
        self._knocking = Knocking(config, self._shedding, self._again)
        self.watch = Watch(config, self.book, self._slot, self._shedding, self.status, reader=parts.reader)

    def run(self, stop: threading.Event) -> None:
        """Stream until `stop` is set (or `until` is met). Raises the CdcError that trying again does not help."""
        self.book.started = time.time()
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            wait=self._pause,
            sleep=tenacity.sleep_using_event(stop),
            stop=tenacity.stop_when_event_set(stop),
            before_sleep=self._note,
            reraise=True,
        )
        self.watch.start()
        self._knocking.start()
        try:
            attempts(self._attempt, stop)
        except Exception as error:
            if not stop.is_set():
                self.book.failed(error)
                raise
            log.warning("stop.unclean", error=str(error))
        finally:
            self._knocking.close()
            self.watch.close()
            self._slot.close()
        self.book.state = "stopped"

    def line(self, timeout: float = 30.0) -> Line:
        """The line, once it streams. Raises CdcError if it does not within `timeout` seconds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            line = self._line
            if line is None:
                time.sleep(0.05)
            elif line.streaming.wait(0.1):
                return line
        why = "it is paused" if self._paused.is_set() else self.book.error or "it is still starting"
        raise CdcError("the daemon is not streaming", why=why)

    @property
    def registry(self) -> CollectorRegistry:
        """What is counted while it runs."""
        return self.book.meters.registry

    @property
    def actions(self) -> Mapping[str, Callable[[list[str]], str]]:
        """What it can be told to do over HTTP, by name."""
        return {"pause": self.pause, "resume": self.resume}

    def pause(self, _: Sequence[str] = ()) -> str:
        """Stop streaming after what was received, and let go of the slot, which then keeps WAL. Until `resume`."""
        self._paused.set()
        return "paused: the source keeps WAL until resumed"

    def resume(self, _: Sequence[str] = ()) -> str:
        """Stream again from where the slot stands."""
        self._paused.clear()
        return "resumed"

    def stalled(self, seconds: float) -> str:
        """The loops that have not gone round for so long (0: however long), though the line streams."""
        if not seconds or self.book.state != "streaming":
            return ""
        now = time.time()
        return ", ".join(name for name, at in sorted(self.book.moved.items()) if now - at > seconds)

    def status(self) -> Status:
        """As of now; what the server knows of the slot may be a second old."""
        status = self.book.status()
        for each in status.warehouses:
            self._log.complete(each, drained=self.book.drained_now)
            each.leave(self._shedding.left.get(each.name, ""))
        if self._parts.reader and status.state in ("streaming", "retrying", "paused", "stopping"):
            known = status.source
            status.source = msgspec.structs.replace(
                self._slot.status(),
                received_lsn=known.received_lsn,
                proved_at=known.proved_at,
                timeline=known.timeline,
            )
        return status

    def history(self) -> list[Sample]:
        """The last hour, the oldest first."""
        return self.watch.samples()

    def snapshot(self, request: CopyRequest) -> list[str]:
        """Have tables copied while the line goes on; gives those that the request names. Raises CdcError."""
        tables = self.line().copy(request)
        self._shedding.copied(tables)
        return tables

    def query(self, request: QueryRequest, gone: Gone) -> Lines:
        """Answer SQL from a warehouse that this process has open (see `cdc.query`). Raises CdcError."""
        return self._questions.answer(request, gone)

    def verify(self, tables: Sequence[str] = ()) -> Report:
        """Compare source and target at one LSN while the line goes on (see `cdc.verify`). Raises CdcError.

        Appliers without a reader cannot stand at that LSN: there, what differs is compared again (`cdc.settled`).
        """
        settings, statuses = self.config.source, lambda: self.book.status().tables
        if self._parts.reader:
            report = verify(settings, self.line().meet, tables, statuses=statuses)
            return not_compared(report, self._shedding.left)
        compare = partial(verify, settings, limit=LIMIT)
        return settled(lambda wanted: compare(self.line().meet, wanted), tables)

    def _attempt(self, stop: threading.Event) -> None:
        halt = Halt(stop, self._paused, self._again)
        while not stop.is_set():
            if self._paused.is_set():
                self._stand_still(stop)
                continue
            self._again.clear()
            for name in self._shedding.left:
                self.book.queues.pop(name, None)
            if self._shedding.nobody:
                self.book.retrying(NOBODY)
                stand_by(self.config.source, halt.is_set)
                continue
            self._begun = time.monotonic()
            self.book.moved.clear()
            first = not self._streamed
            line = self._line = Line(
                self.config,
                self.book,
                self._until,
                self._parts,
                self._request,
                first=first,
                shedding=self._shedding,
            )
            try:
                line.run(halt)
            finally:
                self._streamed = self._streamed or line.streamed
            if not self._paused.is_set() and not self._again.is_set():
                return

    def _stand_still(self, stop: threading.Event) -> None:
        self.book.paused()
        log.info("paused")
        while self._paused.is_set() and not stop.wait(0.1):
            pass
        log.info("resumed")

    def _may_pass(self, error: BaseException) -> bool:
        if isinstance(error, SlotInUse) and time.time() - (self.book.started or 0) < self._patience:
            return True
        if self._shedding.enabled and isinstance(error, TargetError):
            return error.retriable  # the source's disk may fill meanwhile
        return isinstance(error, CdcError) and error.retriable and self._streamed

    def _pause(self, _: tenacity.RetryCallState) -> float:
        """Half a second, doubled with each failure in a row, half a minute at most."""
        if time.monotonic() - self._begun > STEADY:
            self._failures = 0
        self._failures += 1
        return min(2.0 ** (self._failures - 2), 30.0)

    def _note(self, attempt: tenacity.RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        assert error is not None
        self.book.retrying(error)
        log.warning("line.failed", error=str(error), retry_in=attempt.upcoming_sleep)


def _here(config: Config, parts: Parts) -> Config:
    """With the warehouses that this process fills."""
    names = config.warehouses if parts.warehouses is None else parts.warehouses
    here = {name: each for name, each in config.warehouses.items() if name in names}
    return msgspec.structs.replace(config, warehouses=here)
