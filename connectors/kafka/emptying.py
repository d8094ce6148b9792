"""What empties a target: a truncate of the source, and the beginning of a copy, unless its rows are gathered beside it.

A topic with one partition has its order: a truncate is a plain record there, and a copy's first row has the fence's header.
In others both are fences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import structlog

from cdc.events import Chunk, Truncate
from cdc.lsn import Position
from connectors.kafka.fences import COPY, EMPTY, KEY, Fence, Fences
from connectors.kafka.layout import Layout
from connectors.kafka.producing import Headers, Record

log = structlog.get_logger()


class Marked(NamedTuple):
    """A record with a fence's header."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Emptying:
    """Gives the records that go the ordinary way. `enter` is told of a topic before it is written to.

    `sparing`: the beginning of a copy adds no record to a topic that is new, so nothing can be behind it.
    """

    def __init__(
        self, fences: Fences, layout: Layout, enter: Callable[[Record], object], *, sparing: bool
    ) -> None:
        self._fences = fences
        self._layout = layout
        self._enter = enter
        self._sparing = sparing
        self._told: set[str] = set()

    def truncate(self, event: Truncate, records: Iterable[Record]) -> Iterator[Record]:
        """The records of a truncate: none if they are skipped, which is told once per table."""
        name, position, mark = event.table.full_name, Position(event.begin.commit_lsn, event.ordinal), None
        for record in records:
            if self._layout.is_single(record.topic):
                yield record  # the table's schema
                continue
            mark = record
            self._enter(record)
            if self._layout.partitions[record.topic] > 1:
                self._fences.send(record.topic, EMPTY, position, record.value, record.headers)
            else:
                yield self._with_key(record)
        if mark is None and name not in self._told:
            self._told.add(name)
            log.warning(
                "a TRUNCATE is not published, so our appliers keep the rows that were there",
                table=name,
                why="skipped_operations in [format] has t",
                hint=f"`cdc resync {name}` makes the target equal again",
            )

    def copy(self, chunk: Chunk, emptied: Iterable[Record], rows: Iterable[Record]) -> Iterator[Record]:
        """The rows of a copy's first piece, behind what empties the target."""
        *schema, mark = emptied
        yield from schema
        self._fences.given_up(mark.topic)
        new = mark.topic not in self._layout.limits and self._sparing
        self._enter(mark)
        position = chunk.position
        if self._layout.partitions[mark.topic] > 1:
            if not new:
                self._fences.send(mark.topic, COPY, position, mark.value, mark.headers)
            yield from rows
            return
        header, waiting = Fence(COPY, 0, 1, position).header(), True
        if chunk.rows == 0 and not new:
            yield self._with_key(Marked(mark.topic, None, mark.value, [header, *mark.headers]))
        for record in rows:
            if waiting and not self._layout.is_single(record.topic):
                waiting = False
                yield Marked(record.topic, record.key, record.value, [header, *record.headers])
            else:
                yield record

    def gather(self, chunk: Chunk, emptied: Iterable[Record], rows: Iterable[Record]) -> Iterator[Record]:
        """The rows of a first piece that are gathered beside the target. Other readers see the table emptied, as by any copy."""
        *schema, mark = emptied
        yield from schema
        self._enter(mark)
        self._fences.begin(mark.topic, chunk.table.full_name, chunk.position, mark.value, mark.headers)
        yield from rows

    def _with_key(self, record: Record) -> Record:
        """A compacted topic takes no record without key."""
        if not self._layout.is_compacted(record.topic):
            return record
        return Marked(record.topic, KEY, record.value, record.headers)
