"""The line: one attempt at streaming, from the source's slot to the last warehouse, put together from the settings.

Everything is opened here, in the order in which it can fail most cheaply, and closed in the reverse order. The reader's half
(`reading.py`) runs in the caller's thread, each applier (`appliers.py`) in one of its own; where a log is the transport, a
process may have one half only. An attempt ends by its stop event, or by the first error of any part; all state that matters
is in the slot, the transport and the warehouses, so the next attempt starts from there.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import msgspec

from cdc.appliers import Appliers
from cdc.book import Book
from cdc.config import MEMORY, Config
from cdc.copy_request import CopyRequest
from cdc.ends import EmbeddedEnds, Ends
from cdc.errors import CdcError, ConfigError, Stopped
from cdc.interfaces import View, Warehouse
from cdc.lsn import Lsn
from cdc.meeting import meet
from cdc.reading import Reading, Until
from cdc.settled import meet_later
from cdc.shedding import Shed, Shedding
from cdc.source.capture import Capture

SWITCH_INTERVAL = (
    0.0005  # an applier inside a warehouse's driver gets the GIL back from a busy reader this fast
)
STANDSTILL = 60.0  # seconds that the stream may stand still until appliers have come to where it stands
DRAIN = 3600.0  # seconds that appliers may take for what was published before an end by itself


class Parts(msgspec.Struct, frozen=True):
    """What of the line runs in this process. `warehouses`: None for all."""

    reader: bool = True
    warehouses: Sequence[str] | None = None


ALL = Parts()


class Line:
    """One attempt. `run` may be called once; the rest by any thread, while it runs."""

    def __init__(
        self,
        config: Config,
        book: Book,
        until: Until = "stopped",
        parts: Parts = ALL,
        request: CopyRequest | None = None,
        *,
        first: bool = True,
        shedding: Shedding | None = None,
    ) -> None:
        shedding = shedding or Shedding(config.warehouses, enabled=False)
        shedding.abandon = self._abandon
        self._over = False
        self._failure: BaseException | None = None
        self._request = request
        self._first = first
        self._config = config
        self._book = book
        self._until = until
        self._parts = parts
        self._reading: Reading | None = None
        self._appliers = Appliers(config, book, parts.warehouses, shedding)
        self._ends: Ends = _ends(config, parts)
        self.streaming = threading.Event()
        """Set while the slot streams, or appliers subscribe."""
        self.streamed = False
        """It has been set at some time."""

    def run(self, stop: threading.Event) -> None:
        """Stream until `stop` is set or `until` is met. Raises CdcError.

        A clean end applies and confirms all transactions that were received whole; the rest will be streamed again.
        """
        _tune_interpreter()
        try:
            with ExitStack() as opened:
                self._run(opened, stop)
        except Stopped:
            if self._appliers.failure is None:
                raise
            raise self._appliers.failure from self._appliers.failure.__cause__  # the reader was let go for that
        finally:
            self._over = True
            self.streaming.clear()

    def _run(self, opened: ExitStack, stop: threading.Event) -> None:
        ends, appliers = self._ends, self._appliers
        if self._parts.warehouses != ():
            appliers.open(opened, ends)
        capture = opened.enter_context(Capture(self._config.source))
        reading = publisher = None
        if self._parts.reader:
            reading = self._reading = Reading(
                self._config, self._book, capture, self._until, stop, self._request, first=self._first
            )
            publisher = reading.prepare(ends, partial(appliers.take_in, ends, capture))
        appliers.start(opened, ends, capture, self._applier_failed)
        opened.callback(ends.close)
        if reading is None or publisher is None:
            self._wait(stop)
            return
        reading.open(opened, ends, publisher)
        self._begun(capture.where, capture.here.timeline)
        reading.run()
        if self._failure is not None:
            raise self._failure
        if self._until != "stopped" and not stop.is_set():
            ends.await_applied(appliers.subscribers, DRAIN)

    def _wait(self, stop: threading.Event) -> None:
        """For appliers alone: until the end."""
        while not stop.wait(0.1) and self._appliers.failure is None:
            if not self.streamed and self._appliers.ready.is_set():
                self._begun("")
        if self._appliers.failure is not None:
            raise self._appliers.failure

    def _begun(self, where: str, timeline: int | None = None) -> None:
        self._book.streaming(where, timeline)
        self.streamed = True
        self.streaming.set()

    def _abandon(self, warehouse: str) -> None:
        """End the attempt, without waiting for a warehouse."""
        if not self._over:
            self._appliers.abandon(warehouse)
            self._applier_failed(Shed(f"warehouse {warehouse} is left behind", hint="see `cdc status`"))

    def _applier_failed(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._ends.failed(error)
        if self._reading is not None:
            self._reading.end()

    def copy(self, request: CopyRequest) -> list[str]:
        """Have tables copied; gives those that the request names. Raises CdcError."""
        if self._reading is None or not self.streaming.is_set():
            raise CdcError("the stream is not running", hint="see `cdc status`")
        return self._reading.copy(request)

    def meet(self, ask: Callable[[], Lsn], timeout: float) -> Mapping[str, View]:
        """Stand still while `ask` gives an LSN, then each warehouse with exactly the transactions that commit below it.

        With appliers alone, they may have some more (see `cdc.settled`). The caller closes the views. Raises CdcError.
        """
        if not self.streaming.is_set():
            raise CdcError("the stream is not running", hint="see `cdc status`")
        if self._parts.warehouses == ():
            raise CdcError(
                "this process fills no warehouse, so it has nothing to compare",
                hint="ask one that does: `CDC_HTTP__LISTEN=…`, the address of a `cdc apply`, and `cdc verify`",
            )
        if self._reading is None:
            wait = partial(self._ends.await_applied, self._appliers.subscribers)
            return meet_later(self._config.source, wait, self._appliers.views_between)(ask, timeout)
        return meet(self._reading.submit, self._views, self.streaming.is_set, ask, timeout)

    def warehouse(self, name: str) -> Warehouse:
        """The open warehouse, for what it lets other threads do. Raises CdcError."""
        if name in self._appliers.opened:
            return self._appliers.opened[name]
        raise CdcError(
            f"this process does not fill warehouse {name!r}",
            hint="is it left behind (`cdc status`), or does a `cdc apply` elsewhere (`CDC_HTTP__LISTEN=…`)?",
        )

    def _views(self) -> Mapping[str, View]:
        """While the reader stands still, and all that it published is durable."""
        self._ends.await_applied(self._appliers.subscribers, STANDSTILL)
        return self._appliers.views()


def _ends(config: Config, parts: Parts) -> Ends:
    if config.transport.kind == MEMORY:
        if parts != ALL:
            raise ConfigError(
                f"reader and appliers cannot be apart with [transport] kind = {MEMORY!r}",
                why="it carries events within one process",
                hint="`cdc run` does both",
            )
        return EmbeddedEnds(config)
    from cdc.log_ends import LogEnds  # with the wire, which no other line needs

    return LogEnds(config)


def _tune_interpreter() -> None:
    """Rows come and go by the hundred thousand and hold no cycles: looking for those took a tenth of the time."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(200_000, 20, 100)
