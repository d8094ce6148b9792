"""What a warehouse is given: for one table, the least work that brings it to the state after some events; who makes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from cdc.events import Cell, Change, Chunk, Row, Truncate
from cdc.schema import Table

Key: TypeAlias = tuple[Cell, ...]
Place: TypeAlias = Literal["", "table", "shadow", "both", "begin"]


@dataclass(slots=True)
class Patch:
    """A partial row: its unsent cells keep what the target's row under `origin` holds (before this merge is applied).

    `origin` is the row's own key, or, after a change of key, the one that the target knows it by. The row there stays, unless
    the merge says otherwise of it. `optional`: without that row there is nothing to do (a warehouse tells of it all the same).
    """

    row: Row
    origin: Key
    optional: bool = False


@dataclass(slots=True)
class Merge:
    """What to do to one table: `truncate` first, or `retire`, or `clear`, then the rest, which concern distinct keys.

    `table` is the target's shape of the table, `source` the source's (the same, where the target keeps it as it is).
    `retire` is a partial row: its cells are written into every row that has NULL in the column `table.live`.
    `clear` is a column of text, by its index, and a cell of it: the rows that have it there go.

    With a key: `upserts` are whole rows, `patches` partial ones (read all their origins before changing anything),
    `deletes` keys to remove, present or not. Without a key: `inserts` are rows to add, `removals` maps a row to how many
    copies of it to remove; `chunk` is a snapshot's bulk of rows to upsert (to add, without a key). `counts` says how many
    events went in, per operation (`c`, `u`, `d`, `t`; `r` for a snapshot's rows).

    `take` is another table of the target, of the same columns: after truncating or retiring, its rows are upserted (added,
    without a key), and it is dropped. If it is not there, there is nothing to take: it has been taken.

    `place` is for the applier alone, where rows are gathered beside the table (see `cdc.shadows`).
    """

    table: Table
    truncate: bool = False
    upserts: list[Row] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    deletes: list[Key] = field(default_factory=list)
    inserts: list[Row] = field(default_factory=list)
    removals: dict[Row, int] = field(default_factory=dict)
    chunk: Chunk | None = None
    counts: dict[str, int] = field(default_factory=dict)
    retire: Row | None = None
    clear: tuple[int, bytes] | None = None
    of: Table | None = None
    take: Table | None = None
    place: Place = ""

    @property
    def source(self) -> Table:
        return self.of or self.table


ALL = 1 << 62  # of `removals`: as many as there are


class RenameColumn(NamedTuple):
    """Give a column of the target another name."""

    name: str
    to: str


class DropColumn(NamedTuple):
    """Remove a column of the target, with its values."""

    name: str


class DropDefault(NamedTuple):
    """Take a column's default from it: in rows that bring no value for the column it is NULL from now on."""

    name: str


class DropTable(NamedTuple):
    """Remove the target's table, with its rows."""


Alteration: TypeAlias = RenameColumn | DropColumn | DropDefault | DropTable


@dataclass(frozen=True)
class Step:
    """What to do to the target before rows of a new shape: alter, then make columns that are there for nothing but NULLs."""

    alterations: list[Alteration]
    emptied: Table | None = None
    aside: Sequence[Alteration] = ()
    """Of the table alone, not of one that is gathered beside it."""


class Folding(Protocol):
    """What folds the events of one table, of one shape (`table`, the source's)."""

    table: Table

    def change(self, event: Change) -> None: ...
    def truncate(self, event: Truncate) -> None: ...
    def merges(self) -> list[Merge]:
        """All that was folded, in the order in which it must be applied."""


class Shaping(Protocol):
    """Decides how each table is kept: as it is in the source (`PLAIN`), or in another mode (`cdc.modes`)."""

    def folding(self, table: Table) -> Folding: ...
    def chunk(self, chunk: Chunk) -> list[Merge]: ...
    def step(self, merge: Merge) -> Step | None:
        """What to do to the target's columns before this merge."""

    def anew(self, table: Table) -> list[Merge]:
        """What a copy of this table of the source, which begins, does to others of the target."""

    def learn(self, controls: Mapping[str, bytes]) -> None:
        """Control records of the warehouse, which another applier may have written."""

    def is_mending(self, table: Table) -> bool:
        """Is a table of the source that was parked being copied anew, at once and not beside itself?"""

    def may_gather(self, table: Table) -> bool:
        """Can rows of a copy be gathered beside the table, so that it is used meanwhile?"""

    def learned(self) -> Mapping[str, bytes]:
        """Control records to be committed with what was folded since this was last asked."""
