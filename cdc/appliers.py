"""The appliers' half of a line: the warehouses, and for each a thread with its end of the transport."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from cdc import registry
from cdc.applier import run_applier
from cdc.book import Book
from cdc.config import Config
from cdc.ends import Ends
from cdc.errors import CdcError, ConfigError, Stopped, TargetError
from cdc.interfaces import Lookup, Subscriber, View, Warehouse
from cdc.left_behind import park, take_in
from cdc.lsn import Lsn
from cdc.memory import MemorySubscriber
from cdc.meters import MeasuredWarehouse
from cdc.modes.names import check_names
from cdc.modes.shaping import Modes
from cdc.modes.view import KeptView
from cdc.refusals import Refusals
from cdc.shedding import Shed, Shedding
from cdc.source.capture import Capture
from cdc.telling import Telling

if TYPE_CHECKING:
    from cdc.letter_box import LetterBox


def _microseconds() -> int:
    return time.time_ns() // 1000


class Appliers:
    """Of the warehouses named (None: all) that are not left behind. `opened` closes in the reverse order what each step opens."""

    def __init__(self, config: Config, book: Book, names: Sequence[str] | None, shedding: Shedding) -> None:
        self._config = config
        self._book = book
        self._shedding = shedding
        self._abandoned: set[str] = set()
        self._threads: dict[str, threading.Thread] = {}
        wanted = config.warehouses if names is None else names
        self._names = [name for name in wanted if name not in shedding.left]
        self.opened: dict[str, Warehouse] = {}
        self._warehouses: dict[str, Warehouse] = {}  # the same, measured
        self._letters: list[LetterBox] = []
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
            try:
                warehouse = registry.load(settings.kind).connect(settings, name)
            except TargetError:
                self._shedding.failed(name, opening=True)
                raise
            opened.callback(self._close, name, warehouse)
            self.opened[name] = warehouse
            self._warehouses[name] = cast(
                Warehouse, MeasuredWarehouse(warehouse, name, self._book.meters, self._book.reshaped)
            )
            ends.admit(name, warehouse.state())

    def _close(self, name: str, warehouse: Warehouse) -> None:
        """An abandoned one is closed by its thread, which has it still."""
        thread = self._threads.get(name)
        if name not in self._abandoned or thread is None or not thread.is_alive():
            warehouse.close()

    def abandon(self, name: str) -> None:
        """Wait for this one no more. By any thread."""
        self._abandoned.add(name)

    def take_in(self, ends: Ends, capture: Capture, name: str, confirmed: Lsn) -> bool:
        """May a warehouse that the slot is ahead of go on from there? Then its tables are parked."""
        if not self._shedding.enabled or name not in self._warehouses:
            return False
        warehouse = self._warehouses[name]
        take_in(warehouse, capture, confirmed)
        ends.admit(name, warehouse.state())
        return True

    def start(
        self, opened: ExitStack, ends: Ends, capture: Capture, failed: Callable[[BaseException], None]
    ) -> None:
        """Start a thread for each. Whatever ends one ends the line: `failed` is told."""
        for name in self._warehouses:
            settings = self._config.warehouses[name]
            folds = getattr(registry.load(settings.kind), "IGNORES_CASE", False)
            check_names(settings, capture.tables, f"warehouses.{name}", ignore_case=folds)
        always = ends.always_ahead or self._config.snapshot.mode == "no_data"
        for name, warehouse in self._warehouses.items():
            if wanted := self._shedding.take(name):
                park(warehouse, *wanted)
                self._shedding.taken(name)
            settings, state = self._config.warehouses[name], warehouse.state()
            self._book.target(name, registry.load(settings.kind).describe(settings), state)
            letters = ends.letters(name)
            if letters is not None:
                self._letters.append(letters)
                opened.callback(letters.close)
            telling = Telling(name, self._book, letters)
            telling.remembered(state.controls)
            subscriber = self.subscribers[name] = ends.subscriber(name, warehouse)
            if isinstance(subscriber, MemorySubscriber | registry.LogSubscriber):
                self._book.queues[name] = subscriber.fill
            opened.callback(subscriber.close)
            lookup = opened.enter_context(capture.lookup())
            run = (name, subscriber, lookup, telling, failed, always)
            self._threads[name] = threading.Thread(
                target=self._apply, args=run, name=f"applier {name}", daemon=True
            )
        for name, thread in self._threads.items():
            opened.callback(self._join, thread, name)
        opened.callback(self._stop)
        for thread in self._threads.values():
            thread.start()

    def _join(self, thread: threading.Thread, name: str) -> None:
        while thread.is_alive() and name not in self._abandoned:
            thread.join(0.1)

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

    def _stop(self) -> None:
        """Let them end, and nobody wait for brokers: what was not told will be with the batch, which is applied again."""
        self._stopping = True
        for letters in self._letters:
            letters.close()

    def _apply(
        self,
        name: str,
        subscriber: Subscriber,
        lookup: Lookup,
        telling: Telling,
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
            if self._shedding.is_wanted(name):
                raise Shed("a table is parked so that the slot can go on", where=f"[warehouses.{name}]")
            return not self._stopping

        try:
            warehouse = self._warehouses[name]
            settings, controls = self._config.warehouses[name], warehouse.state().controls
            told = telling.noted, telling.parked, telling.mended
            modes = Modes(settings, controls, _microseconds, *told)
            run_applier(
                subscriber,
                warehouse,
                lookup,
                self._book.applied(name),
                running,
                always_ahead=always,
                shaping=modes,
                refusals=Refusals(warehouse, modes, _microseconds, telling.left_out, telling.tell),
                turns_to=partial(self._shedding.turns_to, name),
            )
        except BaseException as error:  # noqa: BLE001  handed to the line
            if name in self._abandoned or (self._stopping and isinstance(error, Stopped)):
                return
            if isinstance(error, TargetError) and not isinstance(error, Shed):
                self._shedding.failed(name)
            self.failure = self.failure or error
            failed(error)
        finally:
            if name in self._abandoned:
                self._warehouses[name].close()
