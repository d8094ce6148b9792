"""Finds connectors by kind: modules that installed packages name in the entry point group `cdc.connectors`.

The engine never imports a connector by name, so one of a third party is as good as ours. Looking one up
imports its module but not its driver; a driver that is not installed is told here, with what to install.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

from cdc.config import WarehouseSettings
from cdc.errors import ConfigError
from cdc.interfaces import Warehouse

if TYPE_CHECKING:
    from cdc.check import Check

GROUP = "cdc.connectors"


class Connector(Protocol):
    """What a connector's module offers.

    It may also have `REQUIRES`, the names of modules that it imports only when used: a missing one is told
    before anything is opened.
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


def kinds() -> list[str]:
    """The kinds that are installed."""
    return sorted({point.name for point in _points()})


def load(kind: str) -> Connector:
    """The connector's module; ConfigError if there is none of that kind or a package it needs is missing."""
    found = [point for point in _points() if point.name == kind]
    if not found:
        raise ConfigError(f"there is no warehouse of kind {kind!r}", why=_known(), hint=_nearest(kind))
    try:
        module = found[0].load()
    except ImportError as error:
        raise ConfigError(
            f"the connector {kind!r} cannot be imported", why=str(error), hint=_install(found[0])
        ) from error
    for name in getattr(module, "REQUIRES", ()):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"warehouses of kind {kind!r} need the package {name}",
                why="it is not installed",
                hint=_install(found[0]),
            )
    return cast(Connector, module)


@cache
def _points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _install(point: EntryPoint) -> str:
    distribution = point.dist.name if point.dist else "cdc"
    return f"pip install '{distribution}[{point.name}]'"


def _known() -> str:
    return (
        f"known: {', '.join(kinds())}" if kinds() else "no connector is installed (was cdc installed by pip?)"
    )


def _nearest(kind: str) -> str:
    nearest = difflib.get_close_matches(kind.lower(), kinds(), 1)
    return f"did you mean {nearest[0]!r}?" if nearest else ""
