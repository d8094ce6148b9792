"""The appliers' half of a line: the warehouses, and for each a thread with its end of the transport."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial
from typing import cast

import structlog

from cdc import registry
from cdc.applier import run_applier
from cdc.book import Book
from cdc.config import Config
from cdc.ends import Ends
from cdc.errors import CdcError, ConfigError
from cdc.interfaces import Lookup, Subscriber, View, Warehouse
from cdc.memory import MemorySubscriber
from cdc.meters import MeasuredWarehouse
from cdc.modes.names import check_names
from cdc.modes.parking import parked_tables
from cdc.modes.shaping import Modes
from cdc.modes.view import KeptView
from cdc.refusals import Refusals
from cdc.source.capture import Capture

log = structlog.get_logger()

MEND = "`cdc resync {}` copies it anew"


def _microseconds() -> int:
    return time.time_ns() // 1000


class Appliers:
    """Of the warehouses named; None: all. `opened` closes in the reverse order what each step opens."""

    def __init__(self, config: Config, book: Book, names: Sequence[str] | None = None) -> None:
        self._config = config
        self._book = book
        self._names = list(config.warehouses) if names is None else list(names)
        self._warehouses: dict[str, Warehouse] = {}
        self._stopping = False
        self._asked: dict[str, Future[View]] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.failure: BaseException | None = None
        """What ended one of them."""
        self._waiting = set(self._names)
        self.ready = threading.Event()
        """Set once each has asked its transport for the first time, and got an answer."""

    def open(self, opened: ExitStack, ends: Ends) -> None:
        """Open the warehouses."""
        if not self._config.warehouses:
            raise ConfigError(
                "no warehouse is configured", hint="add a [warehouses.NAME] table, see config.toml"
            )
        for name in self._names:
            settings = self._config.warehouses.get(name)
            if settings is None:
                known = ", ".join(self._config.warehouses)
                raise ConfigError(f"there is no warehouse {name!r}", hint=f"configured are: {known}")
            warehouse = registry.load(settings.kind).connect(settings, name)
            opened.callback(warehouse.close)
            self._warehouses[name] = cast(
                Warehouse, MeasuredWarehouse(warehouse, name, self._book.meters, self._book.reshaped)
            )
            ends.admit(name, warehouse.state())

    def start(
        self, opened: ExitStack, ends: Ends, capture: Capture, failed: Callable[[BaseException], None]
    ) -> None:
        """Start a thread for each. Whatever ends one ends the line: `failed` is told."""
        for name in self._warehouses:
            settings = self._config.warehouses[name]
            folds = getattr(registry.load(settings.kind), "IGNORES_CASE", False)
            check_names(settings, capture.tables, f"warehouses.{name}", ignore_case=folds)
        always = ends.always_ahead or self._config.snapshot.mode == "no_data"
        threads = []
        for name, warehouse in self._warehouses.items():
            settings, state = self._config.warehouses[name], warehouse.state()
            self._book.target(name, registry.load(settings.kind).describe(settings), state)
            for table, parked in parked_tables(state.controls).items():
                if parked.reason:
                    self._book.table_refused(table, f"{name}: {parked.reason}", MEND.format(table))
                if parked.rows:
                    self._book.dead_lettered_before(name, table, parked.rows)
            subscriber = self.subscribers[name] = ends.subscriber(name, warehouse)
            if isinstance(subscriber, MemorySubscriber):
                self._book.queues[name] = subscriber.fill
            opened.callback(subscriber.close)
            lookup = opened.enter_context(capture.lookup())
            run = (name, subscriber, lookup, failed, always)
            threads.append(
                threading.Thread(target=self._apply, args=run, name=f"applier {name}", daemon=True)
            )
        for thread in threads:
            opened.callback(thread.join)
        opened.callback(self._stop)
        for thread in threads:
            thread.start()

    def views(self) -> dict[str, View]:
        """A picture of each; while nothing is being applied."""
        return {name: self._view(name) for name in self._warehouses}

    def _view(self, name: str) -> View:
        warehouse = self._warehouses[name]
        modes = Modes(self._config.warehouses[name], warehouse.state().controls, _microseconds)
        return KeptView(warehouse.view(), modes)

    def views_between(self) -> dict[str, View]:
        """A picture of each, taken by its thread between two batches."""
        asked: dict[str, Future[View]] = {name: Future() for name in self._warehouses}
        self._asked = dict(asked)
        views: dict[str, View] = {}
        for name, future in asked.items():
            while name not in views and self.failure is None and not self._stopping:
                with suppress(TimeoutError):
                    views[name] = future.result(0.5)
        if len(views) < len(asked):
            for view in views.values():
                view.close()
            raise CdcError("the appliers have ended", hint="see `cdc status`")
        return views

    def _answer(self, name: str) -> None:
        if (future := self._asked.pop(name, None)) is not None:
            try:
                future.set_result(self._view(name))
            except CdcError as error:  # the comparison's misfortune
                future.set_exception(error)

    def _noted(self, warehouse: str) -> Callable[[str, str], None]:
        """What a warehouse's policies have done to a table is told in the log and in the status."""

        def note(table: str, what: str) -> None:
            log.warning("table_evolved", warehouse=warehouse, table=table, what=what)
            self._book.reshaped(warehouse, table, what)

        return note

    def _parked(self, warehouse: str) -> Callable[[str, str], None]:
        def parked(table: str, reason: str) -> None:
            log.error("table_parked", warehouse=warehouse, table=table, why=reason)
            self._book.table_refused(table, f"{warehouse}: {reason}", MEND.format(table))

        return parked

    def _stop(self) -> None:
        self._stopping = True

    def _apply(
        self,
        name: str,
        subscriber: Subscriber,
        lookup: Lookup,
        failed: Callable[[BaseException], None],
        always: bool,
    ) -> None:
        """An applier's thread."""
        asked = False

        def running() -> bool:
            nonlocal asked
            if asked and name in self._waiting:
                self._waiting.discard(name)
                if not self._waiting:
                    self.ready.set()
            asked = True
            self._book.moved[f"applier {name}"] = time.time()
            self._answer(name)
            return not self._stopping

        try:
            warehouse = self._warehouses[name]
            settings, controls = self._config.warehouses[name], warehouse.state().controls
            modes = Modes(settings, controls, _microseconds, self._noted(name), self._parked(name))
            left_out = partial(self._book.dead_lettered, name)
            run_applier(
                subscriber,
                warehouse,
                lookup,
                self._book.applied(name),
                running,
                always_ahead=always,
                shaping=modes,
                refusals=Refusals(warehouse, modes, _microseconds, left_out),
            )
        except BaseException as error:  # noqa: BLE001  handed to the line
            self.failure = self.failure or error
            failed(error)
