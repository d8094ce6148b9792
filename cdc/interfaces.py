"""The three seams. Everything that carries events or keeps tables stands behind one of them, and there are no others.

Contracts are long here so that the two loops (`reader.py`, `applier.py`) can be short. `cdc/testing/contract.py` proves them
for any implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from cdc.digest import Forms
from cdc.events import Event, Row
from cdc.lsn import START, Position
from cdc.merge import Alteration as Alteration
from cdc.merge import DropColumn as DropColumn
from cdc.merge import DropDefault as DropDefault
from cdc.merge import DropTable as DropTable
from cdc.merge import Key, Merge
from cdc.merge import RenameColumn as RenameColumn
from cdc.schema import Table


class Mark(msgspec.Struct, frozen=True):
    """How far one partition has been applied. `offset` is the transport's (-1 where it has none): the next one to read.

    Of two marks of a partition the one with the higher offset is ahead, and only where that says nothing the one with the
    higher position: a reader may publish anew what it published before (see `cdc.marks`).
    """

    position: Position = START
    offset: int = -1


class Checkpoint(msgspec.Struct, frozen=True):
    """What becomes durable together with rows: a mark per partition, and the last control record per key."""

    marks: Mapping[str, Mark] = {}
    controls: Mapping[str, bytes] = {}


class Batch(msgspec.Struct, frozen=True):
    """Events of one partition, in order.

    `checkpoint` is what is true once they are applied; None when the batch ends inside a transaction, whose rest follows.
    `rows` and `size` (bytes) count its row events; `commit_us` is the commit time of its last transaction (0: none).
    `known` are control records that the warehouse has by now, which another applier may have written.
    """

    events: Sequence[Event]
    checkpoint: Checkpoint | None
    rows: int
    size: int
    commit_us: int
    known: Mapping[str, bytes] = {}


class Publisher(Protocol):
    """Takes the events of the stream and makes them durable downstream. Used by one thread."""

    def publish(self, event: Event) -> None:
        """Accept one event. Order per key is kept. May block for as long as the transport is full (back-pressure).

        Accepted is not durable. Raises the transport's failure, which may be that of an earlier event.
        """

    def flush(self) -> None:
        """Return when all that was published is durable; raise if it cannot become so. Called between transactions."""

    def progress(self) -> Mapping[str, bytes]:
        """The last durable `Control` value per key, over all runs so far."""

    def close(self) -> None:
        """Let go of resources without waiting for what was not flushed. May be called twice."""


class Subscriber(Protocol):
    """Gives an applier its batches. Used by one thread."""

    def seek(self, marks: Mapping[str, Mark]) -> None:
        """Start after these marks: what they cover is not given again. Called once, before the first receive."""

    def receive(self, timeout: float) -> Batch | None:
        """The next batch, of one partition and in order; None if there is none within `timeout` seconds, or at the end."""

    def commit(self, batch: Batch) -> None:
        """The batch, and all before it in its partition, is durable in the warehouse. Never goes backward."""

    def close(self) -> None:
        """Let go of resources. Batches received and not committed will be given again to the next subscriber."""


class Warehouse(Protocol):
    """Keeps target tables in sync. Used by one thread, except where a method says otherwise."""

    def state(self) -> Checkpoint:
        """What has been committed so far, by whomever: marks and controls, looked up anew. An empty checkpoint on first use.

        Called while nothing is being applied.
        """

    def evolve(self, table: Table) -> None:
        """Make the target's table able to hold rows of this shape: create schema and table, add columns. Repeatable.

        Rows that are there, and those of an older shape that come later with a new key, show a column's `missing`.

        Raises ColumnRefused when a column cannot be made to hold such values without altering those that it has. Takes part
        in the open transaction where the warehouse has transactional DDL; otherwise it is harmless to repeat.
        """

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> None:
        """Change columns of the target's table, one alteration after the other, in the open transaction as `evolve` does.

        Also called with none: another may have changed the table, so what was known of it counts no more.

        What has been done already, and what is about a table or a column that is not there, is left out. Raises ColumnRefused
        for a column that cannot be renamed, because another has that name.
        """

    def apply(self, merge: Merge) -> Sequence[Key]:
        """Bring one table to the state after this merge, in the transaction that the next `commit` makes durable.

        Merges come in order, each after `evolve` of its table. Applying one twice leaves a table with a key as once.

        Returns the keys of partial rows that cannot be completed, because the target holds no other half of them; they were
        left out, and the caller applies their full rows before it commits.

        Raises TargetError or a subclass, ValueRefused for values that the target does not take; then nothing since the last
        commit is kept, and the caller starts from `state()`.
        """

    def forget(self) -> None:
        """Forget all marks and controls, durably; the tables stay. Called by one who is alone with the target.

        The next applier begins as with a new target. Raises as `commit` does.
        """

    def rollback(self) -> None:
        """Undo all that was done since the last commit; DDL that the target cannot undo may stay. Never needed after an error."""

    def commit(self, checkpoint: Checkpoint) -> None:
        """Make all that was applied since the last commit durable, together with the checkpoint, at once or not at all.

        Marks and controls are merged into those kept; a mark never moves backward. Raises as `apply` does.

        Raises Overtaken, and keeps nothing, if the stored mark of a partition in the checkpoint is ahead of what this object
        last knew of it (by `state` or by its own commit): another applier has had the partition meanwhile. The stored marks
        are looked at in the transaction that the commit ends, so that of two that commit at once one is refused.
        """

    def view(self) -> View:
        """A stable picture of what is committed now, for reading beside the applier. May be called by any thread.

        Called while nothing is being applied; the picture does not change when later batches are.
        """

    def close(self) -> None:
        """Roll back what is open and let go of resources. May be called twice."""


class Digest(msgspec.Struct, frozen=True):
    """`rows` rows whose numbers (see `cdc.digest`) add up to `total`."""

    rows: int
    total: int


class Hashed(NamedTuple):
    """What `cdc verify` compares of one row. Ordered as the sides of a comparison give them."""

    key_hash: str
    row_hash: str
    key: str


class View(Protocol):
    """The target as of one moment. Used by one thread at a time; `cdc verify` compares it with the source by the rules of
    `cdc.digest`.

    `table` is the source's shape, under the target's names. Where it names a column `live`, only rows that have NULL there count.
    Columns that only the target has are left out; of one that it has not got yet, all values
    are the column's `missing`. Raises TargetError.
    """

    def forms(self, table: Table) -> Forms | None:
        """The form in which each column's values can be told; None: there is no such table.

        Raises Incomparable if it is there, but not kept as rows that could be compared.
        """

    def digests(self, table: Table) -> Mapping[int, Digest]:
        """Per bucket that has rows, how many there are and the sum of their numbers."""

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        """Rows of these buckets whose key hash is less than `below`, in order. The caller closes it."""

    def close(self) -> None:
        """Let go of the picture. May be called twice."""


Lookup = Callable[[Table, Sequence[Key], Collection[int]], Iterable[Row]]
"""Selects rows by key from the source, complete; a key that is gone there gives none.

Given the transactions (xids) that the keys come from: their effects are visible in what is selected.
"""
