"""What the target's columns have been through that rows to come do not know of: for targets whose DDL cannot be taken back.

Rows of an older shape come again behind a rename: after a death before its commit, or because what was open is done again
(`connectors.sql.redo`). They are written as the target has the table by now. Of each alteration a note is durable before it is
made, and the commit that passes it takes the note back. So wherever a process dies it is known what the target is ahead by: only
of the last one noted it cannot be told, and that shows in the target's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import msgspec

from cdc.merge import Alteration, DropColumn, DropDefault, DropTable, Merge, RenameColumn
from cdc.schema import Table
from connectors.sql.renaming import renamed, renamed_table

PREFIX = "altered:"
Lasting: TypeAlias = RenameColumn | DropColumn  # to do others again does no harm
Place: TypeAlias = tuple[str, str]  # schema and name of a table of the target


class Note(msgspec.Struct, frozen=True):
    """The value of the record `altered:<schema>.<table>`: names of columns that were dropped, or old and new ones, in order."""

    schema: str
    name: str
    done: list[list[str]]


class Ahead:
    """Of one warehouse. Tables are those of the target."""

    def __init__(self) -> None:
        self._noted: dict[Place, list[Lasting]] = {}
        self._left: dict[Place, list[Lasting]] = {}
        """Of those noted, what the stream has not told of yet."""
        self._stale: set[Place] = set()
        """Of which a note is durable that says too much: the process died before it did the last of it."""

    def load(self, notes: Mapping[str, bytes], present: Callable[[Table], Collection[str]]) -> None:
        """Begin with what is durable. `present` gives the columns that the target has of a table."""
        self._noted, self._stale = {}, set()
        for value in notes.values():
            note = msgspec.json.decode(value, type=Note)
            place = note.schema, note.name
            *done, last = [RenameColumn(*e) if len(e) > 1 else DropColumn(*e) for e in note.done]
            columns = present(Table(*place, ()))
            if columns and _is_done(last, columns):
                done.append(last)
            else:
                self._stale.add(place)
            self._noted[place] = done if columns else []
        self.again()

    def again(self) -> None:
        """What was not committed is taken back, and comes again."""
        self._left = {place: list(done) for place, done in self._noted.items()}

    def reached(self, table: Table) -> Table:
        """How the target has this shape of a table, which comes next."""
        left = self._left.get(_place(table))
        return renamed_table(table, _names(table, left)) if left else table

    def begins_anew(self, merge: Merge) -> bool:
        """With a copy, which no older shape follows: is its own reached otherwise now?"""
        is_copy = merge.take is not None or (merge.chunk is not None and merge.chunk.first)
        return is_copy and bool(self._left.pop(_place(merge.table), None))

    def merge(self, merge: Merge) -> Merge:
        """How the target can take it, after its shape was reached."""
        if left := self._left.get(_place(merge.table)):
            merge = renamed(merge, _names(merge.table, left))
        return replace(merge, take=self.reached(merge.take)) if merge.take else merge

    def still(self, table: Table, alterations: Sequence[Alteration]) -> list[Alteration]:
        """What is to be done for these, under the names that columns have by now."""
        left, todo = list(self._left.get(_place(table), ())), []
        for each in alterations:
            rest = _take(left, each)
            todo += [rest] if rest is not None else []
        return todo

    def note(self, table: Table, alteration: Alteration) -> dict[str, bytes]:
        """The record to make durable before this is done; none, if it needs none."""
        if not isinstance(alteration, Lasting):
            return {}
        for known in (self._noted, self._left):
            known.setdefault(_place(table), []).append(alteration)
        return _record(_place(table), self._noted[_place(table)])

    def passed(self, table: Table, alterations: Sequence[Alteration]) -> None:
        """The stream has reached these, and they are done."""
        left = self._left.get(_place(table), [])
        for each in alterations:
            _take(left, each)

    def records(self) -> dict[str, bytes]:
        """What the commit writes of notes; an empty one is taken back."""
        left = {place: self._left.get(place, []) for place in self._noted}
        changed = [p for p, done in self._noted.items() if left[p] != done or p in self._stale]
        return {name: value for place in changed for name, value in _record(place, left[place]).items()}

    def committed(self) -> None:
        self._noted = {place: left for place, left in self._left.items() if left}
        self._stale.clear()
        self.again()


def _place(table: Table) -> Place:
    return table.schema, table.name


def _record(place: Place, done: Sequence[Lasting]) -> dict[str, bytes]:
    value = msgspec.json.encode(Note(*place, [list(each) for each in done])) if done else b""
    return {f"{PREFIX}{place[0]}.{place[1]}": value}


def _is_done(alteration: Lasting, columns: Collection[str]) -> bool:
    if isinstance(alteration, RenameColumn):
        return alteration.to in columns  # where it was not before
    return alteration.name not in columns


def _names(table: Table, left: Sequence[Lasting]) -> list[str | None]:
    """What the columns of this shape are called by now; None: dropped. One of the key stays, or rows would have none."""
    names: list[str | None] = list(table.column_names)
    for each in left:
        if each.name not in names:
            continue
        index = names.index(each.name)
        if isinstance(each, RenameColumn):
            names[index] = each.to if each.to not in names else each.name
        elif index not in (*table.key, *table.primary_key):
            names[index] = None
    return names


def _take(left: list[Lasting], alteration: Alteration) -> Alteration | None:
    """Take out of `left` what makes up this alteration. What there is still to do, under the name that its column has by now."""
    if isinstance(alteration, DropTable):
        left.clear()
        return alteration
    rest: RenameColumn | DropColumn | DropDefault | None = alteration
    for each in list(left):
        if rest is None or each.name != rest.name:
            continue
        if not isinstance(rest, DropDefault):
            left.remove(each)
        if isinstance(each, DropColumn) or (isinstance(rest, RenameColumn) and each.to == rest.to):
            rest = None
        else:
            rest = rest._replace(name=each.to)
    return rest
