"""What becomes of a value or a column that a warehouse refuses: by the table's rules, the row or the table is set aside, the
column is, or the line stops.

A refusal has taken back all since the last commit. So what was decided is committed alone, and the batch is applied again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdc.dead_letters import TooMany, letters, without_refused
from cdc.errors import ColumnRefused, TargetUnavailable, ValueRefused
from cdc.events import Begin, Change, Chunk, Event, Truncate
from cdc.interfaces import Batch, Checkpoint, Warehouse
from cdc.lsn import Lsn, format_lsn
from cdc.merge import Merge
from cdc.modes.letters import Letter, in_table
from cdc.modes.shaping import Modes


class Refusals:
    """Of one warehouse. `left_out` is told of rows that are: table, reason, how many.

    `tell` takes what is to be told of them to another place than the warehouse, and returns when it is durable there. As the
    checkpoint is committed later, a row may be told twice but is never passed over untold.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        modes: Modes,
        clock: Callable[[], int],
        left_out: Callable[[str, str, int], None] = lambda _table, _reason, _rows: None,
        tell: Callable[[Sequence[Letter]], None] | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._modes = modes
        self._clock = clock
        self._left_out = left_out
        self._tell = tell

    def settle(
        self,
        error: ValueRefused | ColumnRefused,
        merge: Merge,
        merges: Sequence[Merge],
        batch: Batch,
        *,
        part: Merge,
        whole: bool,
    ) -> list[Merge]:
        """The merges to apply in place of these, of which one was refused. Raises the error if the rules say so.

        `part`: what of that merge it was (see `cdc.shadows`). `whole`: the batch is all that was applied since the last
        commit; else raises TargetUnavailable, for a new attempt.
        """
        rules = self._modes.shape(merge.source).rules
        left = list(merges)
        if isinstance(error, ColumnRefused):
            anew = part.truncate or part.retire is not None or bool(part.chunk and part.chunk.first)
            if rules.incompatible == "stop" and not anew:
                raise error
            if anew or rules.incompatible == "new_column":
                if not self._modes.put_aside(merge.source, error.column, drop=part.truncate):
                    raise error
            else:
                left = self._park(merge, left, error, batch)
        elif rules.refused == "stop":
            raise error
        elif rules.refused == "park_table" or not whole:
            left = self._park(merge, left, error, batch)
        else:
            left = self._without_rows(merge, left, error, batch)
        self._begin_again(whole=whole, name=merge.source.full_name)
        return left

    def _park(
        self, merge: Merge, merges: list[Merge], error: ValueRefused | ColumnRefused, batch: Batch
    ) -> list[Merge]:
        name = merge.source.full_name
        self._modes.parking.park(name, str(error), format_lsn(_last_commit(batch.events)))
        return [each for each in merges if each.source.full_name != name]

    def _without_rows(
        self, merge: Merge, merges: list[Merge], error: ValueRefused, batch: Batch
    ) -> list[Merge]:
        try:
            good, refused = without_refused(self._warehouse, merge)
        except TooMany:
            return self._park(merge, merges, error, batch)
        if not refused:
            raise error  # it is refused only in company: nothing can be said of a row
        name, rules = merge.source.full_name, self._modes.shape(merge.source).rules
        told = letters(merge, refused, batch.events, self._clock(), rules.dead_letters)
        left = [good if each is merge else each for each in merges]
        if self._tell is None:
            left.append(in_table(merge.table.schema, told))
        else:
            self._tell(told)
        self._modes.parking.count(name, len(refused), in_topic=self._tell is not None)
        self._left_out(name, error.what, len(refused))
        return left

    def _begin_again(self, *, whole: bool, name: str) -> None:
        self._warehouse.rollback()
        decided = self._modes.redo(self._warehouse.state().controls)
        if not whole:
            self._warehouse.commit(Checkpoint({}, decided))
            raise TargetUnavailable(
                "a large transaction is applied again from its beginning",
                where=name,
                why="the target refused a part of it, which is now left out",
            )


def _last_commit(events: Sequence[Event]) -> Lsn:
    """Where the last transaction of a batch commits."""
    for event in reversed(events):
        if isinstance(event, Begin):
            return event.commit_lsn
        if isinstance(event, Change | Truncate):
            return event.begin.commit_lsn
        if isinstance(event, Chunk):
            return event.position.commit_lsn
    return 0
