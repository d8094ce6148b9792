"""Which copy of a table a row came by: remembered per warehouse, durable with its rows, for the modes that keep what was before.

A copy that is begun again leaves nothing of the interrupted one in a change log; in a history, versions of both have different
keys.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cdc.events import Chunk
from cdc.modes.stamp import copy_text

PREFIX = "copy:"


class Copy(msgspec.Struct, kw_only=True):
    """The value of the control record `copy:<schema>.<table>`."""

    number: int = 0
    position: str = ""
    done: bool = True


class Copies:
    """Knows the copies of all tables. `learned` are the records that have changed since they were last asked for."""

    def __init__(self, controls: Mapping[str, bytes] = {}) -> None:
        self._known = {
            key.removeprefix(PREFIX): msgspec.json.decode(value, type=Copy)
            for key, value in controls.items()
            if key.startswith(PREFIX)
        }
        self._ours: set[str] = set()
        self._changed: dict[str, bytes] = {}

    def chunk(self, chunk: Chunk) -> tuple[bytes, bytes | None, bool]:
        """A chunk comes: the position of its copy, that of an interrupted one which it replaces, and whether rows of
        the chunk may be there already, because it was read before by another attempt."""
        name = chunk.table.full_name
        known = self._known.get(name, Copy())
        interrupted = None
        if chunk.first or not known.position:
            interrupted = None if known.done or not known.position else known.position.encode()
            number = known.number + 1
            position = copy_text(chunk.position.commit_lsn, number).decode()
            known = Copy(number=number, position=position, done=False)
            self._ours.add(name)
        again = name not in self._ours
        known.done = known.done or chunk.last
        self._known[name] = known
        self._changed[PREFIX + name] = msgspec.json.encode(known)
        return known.position.encode(), interrupted, again

    def learned(self) -> dict[str, bytes]:
        changed, self._changed = self._changed, {}
        return changed
