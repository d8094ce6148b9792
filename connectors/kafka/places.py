"""Where to start reading a partition: at the warehouse's mark, if what stands there is still what stood there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from cdc.errors import TransportError
from cdc.interfaces import Mark
from connectors.kafka.consuming import Consumer, Partition

log = structlog.get_logger()

RESYNC = "`cdc resync TABLE` fills the table again from the source"


class Places:
    """Asks one consumer. Raises TransportError when records are missing that the warehouse has not seen."""

    def __init__(self, consumer: Consumer, *, accept_missing: bool) -> None:
        self._consumer = consumer
        self._accept_missing = accept_missing

    def starts(self, partitions: Collection[Partition], marks: Mapping[str, Mark]) -> dict[Partition, int]:
        """An offset for each partition."""
        committed = self._consumer.committed(partitions) if partitions else {}
        return {each: self._start(each, marks, committed.get(each, -1)) for each in partitions}

    def _start(self, partition: Partition, marks: Mapping[str, Mark], committed: int) -> int:
        topic, number = partition
        mark = marks.get(f"{topic}/{number}", Mark())
        low, high = self._consumer.bounds(partition)
        if low <= mark.offset <= high:
            return mark.offset
        where = f"{topic}, partition {number}"
        if mark.offset > high:
            raise TransportError(
                "the topic ends before what the warehouse has applied",
                why=f"it ends at offset {high}, the warehouse is at {mark.offset}: it was made anew, or is another cluster's",
                where=where,
                hint=RESYNC,
            )
        if low == 0 or (mark.offset >= 0 and low <= committed <= high):
            return low  # what is gone had nothing for the warehouse: it had been received and was committed
        seen = f"is at {mark.offset}" if mark.offset >= 0 else "has seen nothing of it"
        what = "records that the warehouse has not seen are not on the topic any more"
        why = f"it begins at offset {low}, and the warehouse {seen}"
        if self._accept_missing:
            log.warning(what, where=where, why=why)
            return low
        raise TransportError(
            what,
            why=why,
            where=where,
            hint=f'{RESYNC}, or [transport] missing_history = "accept" begins with what is there',
        )
