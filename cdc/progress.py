"""How far the copy of each table is: durable as control records, known to the snapshot that writes them and to appliers.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cdc.events import Control
from cdc.lsn import Lsn

CONTROL_PREFIX = "snapshot:"


class Progress(msgspec.Struct, kw_only=True):
    """One table's copy: the value of the control record `snapshot:<schema>.<table>`.

    `after`: text of the last key copied, `key`: the names of its columns. `until`: what was copied may show transactions
    ahead of the stream, which commit below this LSN. For a table without key, `shown` says which of them: those that this
    snapshot shows. `oid` is the table's: one that was made anew under the name is another (0: not known). `leaf` is the
    partition that `after` belongs to, by oid: partitions are copied in that order. `where` is the condition of a copy that was
    asked for with one.

    `shadow`: the rows are gathered beside the table, which keeps its own until the last of them is there.
    """

    done: bool = False
    after: list[str] | None = None
    rows: int = 0
    shown: str = ""
    until: Lsn = 0
    oid: int = 0
    leaf: int = 0
    where: str = ""
    shadow: bool = False
    key: list[str] = []

    @property
    def begun(self) -> bool:
        """Is some of it durable that need not be read again?"""
        return self.after is not None or self.leaf != 0

    def is_of(self, oid: int) -> bool:
        """Is it that table's, as far as is known?"""
        return self.oid in (0, oid)


def decode_progress(controls: Mapping[str, bytes], table: str) -> Progress:
    """The progress of a table among the control records; a fresh one if there is none."""
    value = controls.get(CONTROL_PREFIX + table)
    return msgspec.json.decode(value, type=Progress) if value else Progress()


def encode_progress(table: str, progress: Progress) -> Control:
    """The control record of a table."""
    return Control(CONTROL_PREFIX + table, msgspec.json.encode(progress))


def copied(controls: Mapping[str, bytes]) -> set[str]:
    """The tables of which a warehouse holds a copy, or the beginning of one."""
    names = {key.removeprefix(CONTROL_PREFIX) for key in controls if key.startswith(CONTROL_PREFIX)}
    return {name for name in names if decode_progress(controls, name) != Progress()}


class Ahead:
    """For an applier: up to which LSN its tables may be ahead of the stream, because a copy was; or `always`."""

    def __init__(self, controls: Mapping[str, bytes], *, always: bool = False) -> None:
        self.always = always
        self._until: dict[str, Lsn] = {}
        self.learn(controls)

    def learn(self, controls: Mapping[str, bytes]) -> None:
        """Control records, as they come with checkpoints."""
        for key in controls:
            if key.startswith(CONTROL_PREFIX):
                table = key.removeprefix(CONTROL_PREFIX)
                self._until[table] = decode_progress(controls, table).until

    def covers(self, table: str, commit_lsn: Lsn) -> bool:
        """May the target already show what this transaction and later ones did?"""
        return self.always or commit_lsn < self._until.get(table, 0)
