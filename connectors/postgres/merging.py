"""Brings one table to the state after a merge, inside the open transaction.

Order: partial rows first, since they read what the target has (those that change their keys are put aside, the others are set in
place); then deletions; then whole rows, by one statement with arrays, or, where many come and nobody can tell, by deleting
what is replaced and COPY: that takes half the time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg
from psycopg import pq

from cdc.errors import TargetUnavailable
from cdc.events import UNSENT, Row
from cdc.fold import Key, Merge, Patch
from cdc.merge import ALL
from cdc.schema import Table
from connectors.postgres import failures, rows
from connectors.postgres.opening import Connection
from connectors.postgres.settings import Settings
from connectors.postgres.sql import Plan
from connectors.postgres.statements import Statements, count, first_column
from connectors.sql import qualified

log = logging.getLogger(__name__)

MANY = 500  # rows from which COPY pays


class Merger:
    """Runs a plan's statements."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self.statements = Statements(connection)
        self._truncate = settings.truncate
        self._crowded: set[str] = set()  # tables whose chunks have met rows that were there already

    def apply(self, plan: Plan, merge: Merge) -> Sequence[Key]:
        """Returns the keys of partial rows of which the target has no other half."""
        if merge.truncate:
            self.truncate(plan)
        if merge.retire is not None:
            self._run(
                plan.retire(merge.retire),
                [cell for cell in merge.retire if cell is not UNSENT and cell is not None],
            )
        if merge.clear is not None:
            index, cell = merge.clear
            self._run(plan.clear(index), [cell])
        if merge.take is not None:
            self._take(plan, merge.take)
        missing, staged = self._patch(plan, merge.patches)
        if merge.deletes and merge.upserts and plan.one_unique and len(merge.upserts) < MANY:
            self._run(plan.delete_and_upsert, [*rows.arrays(merge.upserts), *rows.arrays(merge.deletes)])
        else:
            if merge.deletes:
                self._run(plan.delete, rows.arrays(merge.deletes))
            if merge.upserts:
                self._upsert(plan, merge.upserts)
        if staged:
            self._delete_staged(plan)
            self._run(plan.upsert_staged)
            self._run(plan.drop_stage)
        if merge.inserts:
            self._insert(plan, merge.inserts)
        if merge.removals:
            self._remove(plan, merge.removals)
        if merge.chunk is not None and merge.chunk.csv:
            self._chunk(plan, merge.chunk.csv)
        return missing

    def truncate(self, plan: Plan) -> None:
        self._run(plan.truncate[self._truncate])
        self._crowded.discard(plan.target)

    def _upsert(self, plan: Plan, whole: Sequence[Row]) -> None:
        few = len(whole) < MANY or not plan.replaceable
        if not few or not plan.unique:
            keys = [[row[index] for index in plan.table.key] for row in whole]
            self._run(plan.delete, rows.arrays(keys))
        if few:
            self._run(plan.upsert, rows.arrays(whole))
            return
        try:
            self._copy(plan.copy, rows.lines(whole))
        except psycopg.errors.UniqueViolation as error:
            raise another(plan, error) from None

    def _insert(self, plan: Plan, whole: Sequence[Row]) -> None:
        if len(whole) < MANY:
            self._run(plan.upsert, rows.arrays(whole))
        else:
            self._copy(plan.copy, rows.lines(whole))

    def _chunk(self, plan: Plan, csv: bytes) -> None:
        """Mostly, a snapshot's rows are new: COPY finds out. Else they are merged, and so are the table's next chunks."""
        if plan.table.key and (plan.target in self._crowded or not plan.unique):
            self._merge_chunk(plan, csv)
            return
        try:
            with self._connection.transaction():  # a savepoint
                self._copy(plan.copy_csv, csv)
        except psycopg.errors.UniqueViolation:
            if not plan.table.key:
                raise
            self._crowded.add(plan.target)
            self._merge_chunk(plan, csv)

    def _merge_chunk(self, plan: Plan, csv: bytes) -> None:
        self._run(plan.create_stage)
        self._copy(plan.copy_stage, csv)
        self._delete_staged(plan)
        self._run(plan.merge_stage)
        self._run(plan.drop_stage)

    def _delete_staged(self, plan: Plan) -> None:
        if not plan.unique:
            self._run(plan.delete_staged)

    def _take(self, plan: Plan, other: Table) -> None:
        exists = self._run(
            "select 1 where to_regclass($1) is not null", [qualified(other.schema, other.name).encode()]
        )
        if exists.ntuples:
            for sql in plan.take(other):
                self._connection.execute(sql.encode())

    # Partial rows.

    def _patch(self, plan: Plan, patches: Sequence[Patch]) -> tuple[Sequence[Key], bool]:
        """Says which keys are unknown to the target, and whether rows were put aside."""
        if not patches:
            return (), False
        key = plan.table.key
        unknown = self._unknown(plan, [patch.origin for patch in patches])
        missing = [tuple(patches[n].row[index] for index in key) for n in unknown]
        lost = set(unknown)
        stay: list[Row] = []
        moved: list[Patch] = []
        for n, patch in enumerate(patches):
            if n in lost:
                continue
            if tuple(patch.row[index] for index in key) == tuple(patch.origin):
                stay.append(patch.row)
            else:
                moved.append(patch)
        if moved:
            sent, never, sometimes = _sent([patch.row for patch in moved])
            sent += rows.arrays([patch.origin for patch in moved])
            self._run(plan.stage_moved(never, sometimes), sent)
        if stay:
            sent, never, sometimes = _sent(stay)
            self._run(plan.patch(never, sometimes), sent)
        return missing, bool(moved)

    def _unknown(self, plan: Plan, keys: Sequence[Key]) -> list[int]:
        parameters = [*rows.arrays(keys), rows.numbers(range(len(keys)))]
        return [int(n) for n in first_column(self._run(plan.unknown, parameters))]

    # Without a key.

    def _remove(self, plan: Plan, removals: dict[Row, int]) -> None:
        """A target with fewer copies than the source had is no longer equal to it: said, since a replay does it too."""
        parameters = [*rows.arrays(list(removals)), rows.numbers(removals.values())]
        removed = count(self._run(plan.remove, parameters))
        wanted = sum(removals.values())
        if removed < wanted < ALL:
            log.warning(
                "%s: %d of %d rows to remove were not in the target; `cdc verify %s` compares it with the source",
                *(plan.table.full_name, wanted - removed, wanted, plan.table.full_name),
            )

    def _run(self, sql: str, parameters: Sequence[bytes] = ()) -> pq.abc.PGresult:
        return self.statements.run(sql, parameters)

    def _copy(self, sql: str, data: bytes) -> None:
        with self._connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            copy.write(data)


def _sent(partial: Sequence[Row]) -> tuple[list[bytes], tuple[int, ...], tuple[int, ...]]:
    """The parameters of partial rows, which columns none of them sent, and which not all."""
    parameters: list[bytes] = []
    flags: list[bytes] = []
    never: list[int] = []
    sometimes: list[int] = []
    for index, cells in enumerate(rows.columns(partial)):
        unsent = [cell is UNSENT for cell in cells]
        if all(unsent):
            never.append(index)
            continue
        if any(unsent):
            sometimes.append(index)
            flags.append(rows.booleans(unsent))
            cells = [None if cell is UNSENT else cell for cell in cells]
        parameters.append(rows.array(cells))
    return [*parameters, *flags], tuple(never), tuple(sometimes)


def another(plan: Plan, error: psycopg.Error) -> TargetUnavailable | psycopg.Error:
    """Rows with keys that were just deleted are there again: somebody else has put them there, or another index refuses."""
    told = failures.classify(error, what="rows cannot be applied", where=plan.table.full_name)
    return TargetUnavailable(
        "rows were inserted beside us",
        why=f"{told.why}: another applier, or whoever writes into the target",
        where=plan.table.full_name,
    )
