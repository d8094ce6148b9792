"""A warehouse's view for `cdc verify`, asked about the source's tables: each under its target's name, its live rows alone."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from dataclasses import replace

from cdc.digest import Forms
from cdc.errors import Incomparable
from cdc.interfaces import Digest, Hashed, View
from cdc.modes.shaping import Modes
from cdc.schema import Table


class KeptView:
    """Implements `cdc.interfaces.View` over one that knows only tables of the target."""

    def __init__(self, view: View, modes: Modes) -> None:
        self._view = view
        self._modes = modes
        self._kept: dict[Table, Table] = {}

    def forms(self, table: Table) -> Forms | None:
        return self._view.forms(self._of(table))

    def digests(self, table: Table) -> Mapping[int, Digest]:
        return self._view.digests(self._of(table))

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        return self._view.hashes(self._of(table), buckets, below)

    def close(self) -> None:
        self._view.close()

    def _of(self, table: Table) -> Table:
        """The source's shape as the target has it: the same columns and key, other names."""
        if table not in self._kept:
            made = self._modes.shape(table)
            if made.rules.mode == "append":
                raise Incomparable(
                    "mode append keeps changes, not rows: there is nothing to compare", where=table.full_name
                )
            target = made.target
            self._kept[table] = (
                target
                if target is table
                else replace(
                    table,
                    schema=target.schema,
                    name=target.name,
                    columns=target.columns[: made.width],
                    live=target.live,
                )
            )
        return self._kept[table]
