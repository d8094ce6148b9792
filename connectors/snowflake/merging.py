"""One table brought to the state after a merge, inside of the open transaction: what is to be done is staged, then merged."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cdc.fold import Key, Merge
from connectors.snowflake.rows import Staged
from connectors.snowflake.session import Session
from connectors.snowflake.sql import Plan

STAGE = "stage"

log = logging.getLogger(__name__)


class Merger:
    """Runs a plan's statements; `name` is that of the warehouse's table in config.toml."""

    def __init__(self, session: Session, plan: Plan, name: str, null_if_refused: bool) -> None:
        self._session = session
        self._plan = plan
        self._name = name
        self._null_if_refused = null_if_refused

    def apply(self, merge: Merge, taken: Plan | None = None) -> Sequence[Key]:
        """Returns the keys of partial rows of which the target has no other half. `taken` is the table to take from."""
        plan, run = self._plan, self._session.run
        if merge.truncate:
            run(plan.truncate)
        elif merge.retire is not None:
            run(plan.retire(merge.retire))
        if merge.clear is not None:
            run(plan.clear(*merge.clear))
        if taken is not None:
            for statement in plan.take(taken, is_empty=merge.truncate):
                run(statement)
        staged = Staged(plan, self._name, self._null_if_refused)
        staged.add(merge)
        if not len(staged):
            return ()
        with self._session.uploaded(STAGE) as (path, place):
            staged.write(path)
            self._session.put(path, place)
        run(plan.copy(place) + " PURGE = TRUE")
        missing: list[Key] = []
        if merge.patches:
            run(plan.complete)
            lost = [merge.patches[number].row for (number,) in run(plan.incomplete).fetchall()]
            missing = [tuple([row[index] for index in plan.table.key]) for row in lost]
        is_empty = (merge.truncate and merge.take is None) or (merge.chunk is not None and merge.chunk.fresh)
        run(plan.insert if is_empty or not plan.table.key else plan.merge)
        if merge.patches:
            run(plan.merge_completed)
        if merge.removals:
            self._remove(merge)
        run(plan.clear_stage)
        if merge.patches or merge.removals:
            run(plan.clear_aside)
        staged.warn()
        return missing

    def _remove(self, merge: Merge) -> None:
        plan = self._plan
        for statement in plan.remove:
            self._session.run(statement)
        [(removed,)] = self._session.run(plan.removed).fetchall()
        wanted = sum(merge.removals.values())
        if removed < wanted:
            log.warning(
                "%s: %d of %d rows to remove were not in the target; `cdc verify %s` compares it with the source",
                *(plan.table.full_name, wanted - removed, wanted, plan.table.full_name),
            )
