"""How one warehouse keeps its tables: the fold and the chunks of each, in its mode and under its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from cdc.errors import TargetError
from cdc.events import READ, UNSENT, Cell, Chunk, Row
from cdc.fold import Keyed, Keyless
from cdc.merge import ALL, Folding, Merge, Step
from cdc.modes.append import Append
from cdc.modes.copies import Copies
from cdc.modes.evolution import Evolution
from cdc.modes.history import TRUE, History, retired
from cdc.modes.letters import answered
from cdc.modes.names import DEAD_LETTERS, Taken, folded, rules_of, target_name
from cdc.modes.parking import LeftOut, Parking
from cdc.modes.rows import OurKeyless, SoftKeyed, Stamped
from cdc.modes.shape import NOW, POSITION, Shape, shape
from cdc.modes.stamp import Stamp
from cdc.schema import Column, Table
from cdc.wire.csv_rows import read_rows


class Modes:
    """A `cdc.fold.Shaping` by the settings of a warehouse. `clock` gives microseconds since the Unix epoch."""

    def __init__(
        self,
        settings: Any,
        controls: Mapping[str, bytes],
        clock: Callable[[], int],
        noted: Callable[[str, str], None] = lambda _table, _note: None,
        parked: Callable[[str, str], None] = lambda _table, _reason: None,
        mended: Callable[[str, int], None] = lambda _table, _rows: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._shapes: dict[str, Shape] = {}
        self._taken = Taken()
        self.copies = Copies(controls)
        self.parking = Parking(controls, parked, mended)
        self._evolution = Evolution(controls, lambda name: folded(name, settings.case), noted)

    def shape(self, table: Table) -> Shape:
        """How the table is kept. Raises TargetError."""
        known = self._shapes.get(table.full_name)
        if known is None or known.source is not table:
            known = self._shapes[table.full_name] = self._shape(table)
        return known

    def _shape(self, table: Table) -> Shape:
        target = target_name(self._settings, table.schema, table.name)
        self._taken.take(target, table.full_name)
        rules = rules_of(self._settings, table.full_name)
        made = shape(table, *target, self._columns(table), rules)
        same = (table.schema, table.name, table.columns) == (*target, made.target.columns)
        return replace(made, target=table) if same and rules.mode == "upsert" else made

    def _columns(self, table: Table) -> Sequence[Column]:
        case = self._settings.case
        if case == "keep":
            return table.columns
        return tuple([replace(column, name=folded(column.name, case)) for column in table.columns])

    def folding(self, table: Table) -> Folding:
        if self.parking.is_parked(table.full_name) or not self._can_be(table):
            return LeftOut(table, lambda: self._resumed(table))
        return self._folding(table)

    def _resumed(self, table: Table) -> tuple[list[Merge], Folding] | None:
        """What folds a parked table from now on, as it is being emptied, and what is to be done before."""
        return (self._mended(table), self._folding(table)) if self._can_be(table) else None

    def anew(self, table: Table) -> list[Merge]:
        return [] if self.parking.is_parked(table.full_name) else self._mended(table)

    def _mended(self, table: Table, *, last: bool = True) -> list[Merge]:
        """What was left out of a table comes again."""
        told = self.parking.in_table(table.full_name)
        self.parking.mend(table.full_name, first=True, last=last)
        return answered(self.shape(table).target.schema, table.full_name) if told else []

    def learn(self, controls: Mapping[str, bytes]) -> None:
        self.parking.learn(controls)

    def _folding(self, table: Table) -> Folding:
        made = self.shape(table)
        if made.rules.mode == "upsert" and not made.stamped:
            return Keyed(table, made.target) if table.key else Keyless(table, made.target)
        stamp = Stamp(made.stamped, self._clock())
        if made.rules.mode == "history":
            return History(made, stamp)
        if made.rules.mode == "append":
            return Append(made, stamp)
        if not table.key:
            return OurKeyless(made, stamp)
        return SoftKeyed(made, stamp) if made.rules.mode == "soft_delete" else Stamped(made, stamp)

    def _can_be(self, table: Table) -> bool:
        """Can the table be kept by its rules? One that cannot is parked, unless the rules say to stop."""
        try:
            self.shape(table)
        except TargetError as error:
            if rules_of(self._settings, table.full_name).refused == "stop":
                raise
            reason = f"{error.what}: {error.why}" if error.why else error.what
            self.parking.park(table.full_name, f"{reason} ({error.hint})" if error.hint else reason, "")
            return False
        return True

    def step(self, merge: Merge) -> Step | None:
        if merge.table.name == DEAD_LETTERS:
            return None
        return self._evolution.step(self.shape(merge.source))

    def is_mending(self, table: Table) -> bool:
        return self.parking.is_mending(table.full_name)

    def may_gather(self, table: Table) -> bool:
        """Modes that keep what was before have no use for it; what a parked table has is old."""
        parked = self.parking.is_parked(table.full_name) or self.parking.is_mending(table.full_name)
        return (
            not parked and self._can_be(table) and POSITION.name not in self.shape(table).target.column_names
        )

    def put_aside(self, table: Table, column: str, *, drop: bool) -> bool:
        """Before the next rows of this shape, take a column of the target out of the way; False if that has been tried."""
        return self._evolution.put_aside(table, column, drop=drop)

    def redo(self, controls: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """All since the last commit, which left these control records, is taken back and will be done again.

        Returns what was decided meanwhile, as control records, for whoever will not do it again by itself.
        """
        self._evolution.redo(controls)
        return {**self.parking.pending(), **self._evolution.pending()}

    def learned(self) -> Mapping[str, bytes]:
        return {**self.copies.learned(), **self._evolution.learned(), **self.parking.learned()}

    def chunk(self, chunk: Chunk) -> list[Merge]:
        name = chunk.table.full_name
        mending = self.parking.is_mending(name) or (chunk.first and self.parking.is_parked(name))
        before: list[Merge] = []
        if chunk.control.key and chunk.first and self._can_be(chunk.table):
            before = self._mended(chunk.table, last=chunk.last)
        elif chunk.control.key:
            self.parking.mend(name, first=chunk.first, last=chunk.last)
        if mending:
            chunk = msgspec.structs.replace(chunk, shadow=False)
        if self.parking.is_parked(chunk.table.full_name) or not self._can_be(chunk.table):
            return []
        made = self.shape(chunk.table)
        stamp = Stamp(made.stamped, self._clock())
        stamped = stamp.copied(chunk.position.commit_lsn, READ)
        merge = Merge(made.target, counts={READ: chunk.rows}, of=made.source)
        own: Row = ()
        if made.rules.mode == "upsert":
            merge.truncate = chunk.first
        elif made.rules.mode == "soft_delete":
            own = (None,)
            if chunk.first:
                merge.retire = (*[UNSENT] * made.width, stamp.synced, *stamped)
        else:
            position, interrupted, again = self.copies.chunk(chunk)
            if made.rules.mode == "history":
                own = (stamp.synced, None, TRUE, READ.encode(), position, NOW)
                if chunk.first:
                    kept = (UNSENT,) * len(stamped)
                    merge.retire = retired(made.width, stamp.synced, position, kept)
            else:
                own = (READ.encode(), position, None, None)
                before += _taken_back(made, chunk, position, interrupted, again=again)
        csv = widened(chunk.csv, (*own, *stamped))
        fresh = chunk.fresh and made.rules.mode != "soft_delete"  # where keys of past rows are still taken
        merge.chunk = msgspec.structs.replace(chunk, table=made.target, csv=csv, fresh=fresh)
        return [*before, merge]


def _taken_back(
    made: Shape, chunk: Chunk, position: bytes, interrupted: bytes | None, *, again: bool
) -> list[Merge]:
    """What an interrupted copy may have left of these rows in a change log."""
    found_by = [made.target.columns[index] for index in made.source.key]
    place = next(column for column in made.target.columns if column.name == POSITION.name)
    if interrupted is not None:
        return [Merge(replace(made.target, columns=(place,)), removals={(interrupted,): ALL})]
    if not again or not made.source.key:
        return []
    keys = [tuple([row[index] for index in made.source.key]) for row in read_rows(chunk.csv)]
    narrow = replace(made.target, columns=(*found_by, place))
    return [Merge(narrow, removals={(*key, position): ALL for key in keys})]


def widened(csv: bytes, cells: Sequence[Cell]) -> bytes:
    """A chunk's CSV with the same cells (texts without commas and quotes) behind each row.

    A line's end is one only outside of quotes, which open and close with every quote that there is, doubled ones too.
    """
    if not cells:
        return csv
    end = b"".join(b"," + (b"" if cell is None or cell is UNSENT else cell) for cell in cells) + b"\n"
    parts = csv.split(b'"')
    parts[::2] = [part.replace(b"\n", end) for part in parts[::2]]
    return b'"'.join(parts)
