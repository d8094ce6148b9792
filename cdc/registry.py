"""Finds connectors by kind: modules that installed packages name in the entry point groups `cdc.connectors` (warehouses)
and `cdc.transports`.

The engine never imports a connector by name, so one of a third party is as good as ours. Looking one up
imports its module but not its driver; a driver that is not installed is told here, with what to install.
"""

from __future__ import annotations

import difflib
import importlib.util
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from cdc.config import TransportSettings, WarehouseSettings
from cdc.errors import ConfigError
from cdc.events import Event
from cdc.format import FormatSettings
from cdc.interfaces import Checkpoint, Publisher, Subscriber, Warehouse

if TYPE_CHECKING:
    from cdc.check import Check
    from cdc.status import PartitionLag
    from cdc.wire import Encoder
    from cdc.wire.decoder import AnyRecord

GROUP = "cdc.connectors"
TRANSPORTS = "cdc.transports"


class Connector(Protocol):
    """What a connector's module offers.

    It may also have `REQUIRES`, the names of modules that it imports only when used: a missing one is told
    before anything is opened; and `IGNORES_CASE`, true if the target takes names that differ by case for the same.

    Where others cannot read the target while cdc writes: `query(settings, sql, *, warehouse, seconds, gone)`, which answers SQL
    that only looks (`cdc.query.Rows`), from the open warehouse, or None; elsewhere `CLIENT`, what people ask it with.
    """

    @property
    def Settings(self) -> type[WarehouseSettings]:
        """Of a `[warehouses.NAME]` table of this kind."""

    def connect(self, settings: Any, name: str) -> Warehouse:
        """Open the target. `name` is that of its table in config.toml."""

    def describe(self, settings: Any) -> str:
        """The target in a few words, for people; no secrets."""

    def exists(self, settings: Any) -> bool:
        """Whether there is a target to look at; `connect` would make what is missing. Cheap, and never raises."""

    def preflight(self, settings: Any) -> Sequence[Check]:
        """What can be found wrong with the target without changing it."""


class Transport(Protocol):
    """What a transport's module offers; `REQUIRES` as for a connector."""

    @property
    def Settings(self) -> type[TransportSettings]:
        """Of `[transport]` of this kind."""

    def prefix(self, settings: Any) -> str:
        """What the name of every topic begins with."""

    def open_publisher(self, settings: Any, encoder: Encoder) -> Publisher:
        """The reader's end; the events' records are the encoder's. TransportError if it cannot be had."""

    def open_subscriber(
        self,
        settings: Any,
        decode: Callable[[AnyRecord], Sequence[Event]],
        *,
        warehouse: str,
        limits: WarehouseSettings,
        wanted: Callable[[str], bool],
        state: Callable[[], Checkpoint],
    ) -> LogSubscriber:
        """The end of one applier, of which a warehouse may have several: they share the topics that are `wanted`.

        `state` tells what the warehouse has by now. It is called by `receive`, and by `commit`.
        """

    def open_letters(self, settings: Any, topic: str) -> Letters:
        """Where records go that tell of rows which a warehouse left out. Makes the topic; raises TransportError."""

    def records(self, settings: Any, topic: str) -> Iterable[AnyRecord]:
        """All that is on a topic now; nothing if there is none."""

    def check(self, settings: Any, letters: Collection[str] = ()) -> Sequence[Check]:
        """What can be found wrong with it without changing anything. Raises nothing of its own.

        `letters`: the topics that `open_letters` will be asked for.
        """

    def drop(self, settings: Any, of_events: FormatSettings, *, everything: bool) -> Sequence[str]:
        """Delete what the reader remembers, and with `everything` all that is under the prefix. The names of what is gone."""

    def progress(self, settings: Any) -> Mapping[str, bytes]:
        """The control records of the reader's runs, as `Publisher.progress` gives them; without opening the reader's end."""

    def last_control(self, settings: Any, key: str) -> bytes | None:
        """The reader's control record of this key, if it is a recent one."""

    def lag(self, settings: Any, warehouse: str, wanted: Callable[[str], bool]) -> Sequence[PartitionLag]:
        """How far a warehouse's appliers have come, in all processes together. Raises TransportError."""

    def ends(self, settings: Any, wanted: Callable[[str], bool]) -> Mapping[str, int]:
        """Per partition, named as in checkpoints, the offset that comes next."""


@runtime_checkable
class LogSubscriber(Subscriber, Protocol):
    """A subscriber of a log, which has ends."""

    closed: bool

    def fill(self) -> tuple[int, int]:
        """Bytes of records that wait to be applied, and how many may. May be called by any thread."""

    def reach(self, ends: Mapping[str, int]) -> threading.Event:
        """An event that is set once all below these offsets is in the warehouse. May be called by any thread."""


class Letters(Protocol):
    """A topic of dead letters. Used by one thread, but for `close`."""

    limit: int
    """The bytes that a record may have."""

    def put(self, records: Iterable[AnyRecord]) -> None:
        """Return when all of them are durable, in this order; raise if one cannot be. What is sent again comes twice."""

    def close(self) -> None:
        """Let whoever waits meet Stopped, and let go of resources. Any thread may call it, twice too."""


def transport(kind: str) -> Transport:
    """The transport's module; ConfigError if there is none of that kind or a package it needs is missing."""
    return cast(Transport, _load(kind, TRANSPORTS, "transport"))


def kinds() -> list[str]:
    """The kinds that are installed."""
    return sorted({point.name for point in _points()})


def load(kind: str) -> Connector:
    """The connector's module; ConfigError if there is none of that kind or a package it needs is missing."""
    return cast(Connector, _load(kind, GROUP, "warehouse"))


def _load(kind: str, group: str, what: str) -> ModuleType:
    points = _points() if group == GROUP else _transport_points()
    found = [point for point in points if point.name == kind]
    if not found:
        names = kinds() if group == GROUP else ["memory", *sorted(point.name for point in points)]
        raise ConfigError(
            f"there is no {what} of kind {kind!r}", why=_known(names), hint=_nearest(kind, names)
        )
    try:
        module = found[0].load()
    except ImportError as error:
        raise ConfigError(
            f"the connector {kind!r} cannot be imported", why=str(error), hint=_install(found[0])
        ) from error
    for name in getattr(module, "REQUIRES", ()):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"{what}s of kind {kind!r} need the package {name}",
                why="it is not installed",
                hint=_install(found[0]),
            )
    return cast(ModuleType, module)


@cache
def _points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


@cache
def _transport_points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=TRANSPORTS))


def _install(point: EntryPoint) -> str:
    distribution = point.dist.name if point.dist else "cdc"
    return f"pip install '{distribution}[{point.name}]'"


def _known(names: Sequence[str]) -> str:
    return f"known: {', '.join(names)}" if names else "no connector is installed (was cdc installed by pip?)"


def _nearest(kind: str, names: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(kind.lower(), names, 1)
    return f"did you mean {nearest[0]!r}?" if nearest else ""
