"""Brings one table to the state after a merge, inside the open transaction.

Every case is a run of three steps: stage what must be completed from the target's rows, delete by key, insert. Nothing is
updated in place: that would keep the old and the new version of each row in memory until the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pyarrow as pa
from duckdb import DuckDBPyConnection

from cdc.errors import TargetError
from cdc.fold import Key, Merge, row_count
from cdc.merge import ALL
from cdc.schema import Table
from connectors.duckdb import rows
from connectors.duckdb.known import Known
from connectors.duckdb.prepared import SMALL, Statements, Threads
from connectors.duckdb.rows import Columns
from connectors.duckdb.sql import Plan
from connectors.duckdb.views import Views

log = logging.getLogger(__name__)


class Merger:
    """Runs a plan's statements. `forget` after a rollback: what it knows of the target may be wrong then."""

    def __init__(self, connection: DuckDBPyConnection, *, alone: bool = True) -> None:
        self._statements = Statements(connection)
        self._run = self._statements.run
        self._threads = Threads(self._statements)
        self._known = Known(self._statements, alone=alone)
        self.look = self._known.look
        self.altered, self.committed = self._statements.altered, self._statements.committed
        self._views = Views(connection)
        self._show, self.shown, self.release = self._views.show, self._views.shown, self._views.release

    def forget(self) -> None:
        self._known.forget()
        self._statements.forget()
        self._views.forget()

    def close(self) -> None:
        self._views.close()

    def apply(self, plan: Plan, merge: Merge) -> Sequence[Key]:
        """Returns the keys of partial rows of which the target has no other half."""
        self._threads.suit(row_count([merge]))
        if merge.truncate:
            self._run(plan.truncate)
            self._known.emptied(plan.target)
        if merge.retire is not None and not self._known.is_empty(plan.target):
            for sql in plan.retire(merge.retire):
                self._run(sql)
        if merge.clear is not None:
            self._run(plan.clear(*merge.clear))
        if merge.take is not None:
            self._take(plan, merge.take)
        missing: Sequence[Key] = ()
        whole = self._whole(plan, merge)
        if merge.table.key:
            missing = self._merge(plan, merge, whole)
        elif whole is not None:
            self._insert(plan, whole)
        if merge.removals:
            self._remove(plan, merge)
        return missing

    def _take(self, plan: Plan, other: Table) -> None:
        if not self._run(plan.has(other))[0][0]:
            return
        if plan.table.key and not self._known.is_empty(plan.target):
            self._run(plan.delete_taken(other))
        self.altered()
        for sql in plan.take(other):
            self._run(sql)
        self._known.forget(plan.place_of(other))
        self.look(plan)

    def _merge(self, plan: Plan, merge: Merge, whole: Columns | None) -> Sequence[Key]:
        missing, staged = self._stage_partial(plan, merge)
        fresh = (
            whole is None
            or (merge.chunk is not None and merge.chunk.fresh)
            or self._known.has_none(plan, whole)
        )
        keep_extras = bool(plan.extras) and not fresh
        replaced = [whole] if whole is not None and not fresh and not keep_extras else []
        if merge.deletes or replaced:
            self._delete(plan, rows.keys(plan, merge.deletes, replaced))
        if staged is not None:
            self._replace_by_staged(plan, staged)
        if whole is not None and keep_extras:
            whole.number()
            view = self._show(whole)
            self._warn_of_nulls(plan, whole, view)
            self._run(plan.stage(view, (), origin="c", join="LEFT JOIN"))
            self._replace_by_staged(plan, whole)
        elif whole is not None:
            self._insert(plan, whole)
        return missing

    def _whole(self, plan: Plan, merge: Merge) -> Columns | None:
        """The whole rows of a merge: a chunk's, or those of upserts or inserts; None without any."""
        if merge.chunk is None or not merge.chunk.csv:
            found = merge.upserts or merge.inserts
            return rows.whole_rows(plan, found) if found else None
        texts: Sequence[int] = plan.may_be_nulled
        if merge.table.key and not merge.chunk.fresh and not self._known.is_empty(plan.target):
            keys = [index for index in plan.table.key if index not in plan.numbered]
            texts = range(len(plan.columns)) if plan.extras else (*texts, *keys)
        columns = Columns(plan)
        columns.add_csv(merge.chunk.csv, texts)
        return columns

    def _delete(self, plan: Plan, given: Columns) -> None:
        keys = self._known.sought(plan, given)
        if keys is None:
            return
        count = len(keys.arrays[0])
        if count > SMALL:
            self._run(plan.delete(self._show(keys)))
            return
        table = self._statements.keys(plan)
        number = table.number(count)
        keys.add("m", pa.repeat(pa.scalar(number, pa.int32()), count))
        self._statements.run_often(plan.put_keys(table.name, self._show(keys)))
        self._run(plan.delete_put(table.name, number))

    def _stage_partial(self, plan: Plan, merge: Merge) -> tuple[Sequence[Key], Columns | None]:
        """Complete partial rows from the target, before anything is changed; None if none could be."""
        if not merge.patches:
            return (), None
        origins = [patch.origin for patch in merge.patches]
        columns, unsent = rows.partial_rows(plan, [patch.row for patch in merge.patches], origins)
        view = self._show(columns)
        self._warn_of_nulls(plan, columns, view)
        [(staged,)] = self._run(plan.stage(view, unsent, origin="o", join="JOIN"))
        lost = [] if staged == len(origins) else self._run(plan.unstaged(view))
        patches = [merge.patches[n].row for (n,) in lost]
        return [tuple(row[i] for i in plan.table.key) for row in patches], columns if staged else None

    def _replace_by_staged(self, plan: Plan, staged: Columns) -> None:
        self._run(plan.delete_staged)
        self._run(plan.insert_staged)
        self._known.inserted(plan, staged)

    def _insert(self, plan: Plan, whole: Columns) -> None:
        view = self._show(whole)
        self._warn_of_nulls(plan, whole, view)
        self._statements.run_often(plan.insert(view, whole.ready, usual=whole.usual))
        self._known.inserted(plan, whole)

    def _remove(self, plan: Plan, merge: Merge) -> None:
        """A target with fewer copies than the source had is no longer equal to it: said, since a replay does it too."""
        if "rowid" in map(str.lower, (*plan.table.column_names, *(name for name, _ in plan.extras))):
            raise TargetError(
                "rows of a table without key cannot be removed by value if it has a column rowid",
                why="DuckDB's own row number is hidden by it",
                where=plan.table.full_name,
                hint="give the table a primary key, or rename the column",
            )
        [(removed,)] = self._run(plan.remove(self._show(rows.counted_rows(plan, merge.removals))))
        wanted = sum(merge.removals.values())
        if removed < wanted < ALL:
            log.warning(
                "%s: %d of %d rows to remove were not in the target; `cdc verify %s` compares it with the source",
                *(plan.table.full_name, wanted - removed, wanted, plan.table.full_name),
            )

    def _warn_of_nulls(self, plan: Plan, columns: Columns, view: str) -> None:
        counts = dict(columns.nulled)
        if sql := plan.count_nulled(view):
            for index, count in zip(plan.may_be_nulled, self._run(sql)[0], strict=True):
                counts[index] = counts.get(index, 0) + count
        for index, count in counts.items():
            if count:
                column, kept = plan.table.columns[index], plan.columns[index]
                log.warning(
                    "%s: %d values of column %s could not be kept as %s and became NULL, by the rule unrepresentable",
                    *(plan.table.full_name, count, column.name, kept.sql),
                )
