"""Fences: what all partitions of a topic must have come to before one of them goes on.

Partitions are applied independently of each other. Where a table is emptied, or keys move to other partitions, that is not
enough: so one marker goes to every partition, a record with the header `cdc.fence`. Partition 0 is the one that acts; the
others stop at their markers until it has. The markers of the others are durable before that of partition 0 is sent, so
whoever meets that one knows that all others will meet theirs. If the publisher dies between, the fence is void: the next
publisher says so in partition 0, which lets go those that wait.

    empty   the source truncated the table
    copy    a copy of the table begins: the target is emptied
    begin   a copy of the table begins: rows that are read from here on are gathered beside the target
    take    … and ends: they replace the target's
    leave   … and will not be ended
    moved   partitions were added: everything after `position` is published once more behind the fence
    void    a fence that was not finished

Under one topic the number of a fence is higher than those of all before it. Here is the publisher's side; `holding.py` has
the subscriber's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import structlog

from cdc.lsn import START, Position
from connectors.kafka.layout import Layout

log = structlog.get_logger()
replace = msgspec.structs.replace

HEADER = "cdc.fence"
EMPTY, COPY, MOVED, VOID = "empty", "copy", "moved", "void"
BEGIN, TAKE, LEAVE = "begin", "take", "leave"
TABLE = "cdc.fence.table"
"""The header of partition 0's marker that names the table where its value must not: it holds a record of a truncate."""
KEPT = "topic:"
"""The publisher's own control records, one per topic, begin with this."""
KEY, COMPACTED_VALUE = b'{"cdc.fence":0}', b"null"
"""Whoever reads the topic takes a marker for the tombstone of a key that it does not know. A compacted topic would lose that:
there its value is JSON's `null`, which Connect takes for a tombstone, too."""
KEY_OF_ENDS = b'{"cdc.fence":1}'
"""What ends a copy must not take the place of what begins it."""

Headers = Sequence[tuple[str, bytes | None]]


class Fence(NamedTuple):
    """One marker's header. `partitions` is how many partitions have one."""

    kind: str
    number: int
    partitions: int
    position: Position = START

    def header(self) -> tuple[str, bytes]:
        """`copy 1700000000000000 3 0 0`"""
        return HEADER, " ".join(map(str, (*self[:3], *self.position))).encode()


def fence_of(headers: Headers | None) -> Fence | None:
    """The fence that a record marks. Its header is always the first, so that a row costs one comparison."""
    if not headers or headers[0][0] != HEADER:
        return None
    kind, number, partitions, lsn, ordinal = (headers[0][1] or b"").decode().split(" ")
    return Fence(kind, int(number), int(partitions), Position(int(lsn), int(ordinal)))


class Gathers(msgspec.Struct, frozen=True):
    """A copy that was begun beside its table, and what is to be sent when it ends."""

    table: str
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    position: Position


class Known(msgspec.Struct, frozen=True):
    """What the next publisher must know of a topic: how many partitions it had, and its last fence (`sent`: to all)."""

    partitions: int
    number: int = 0
    sent: bool = True
    gathers: Gathers | None = None


class Outlet(Protocol):
    """What the publisher lends."""

    def put(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, partition: int
    ) -> None:
        """Send a record."""

    def settle(self) -> None:
        """Wait until what was sent is durable; with transactions there is no need, all of it will be at once."""

    def remember(self, key: str, value: bytes, *, now: bool) -> None:
        """Keep a control record: at once, or with the next flush."""


class Fences:
    """The publisher's side. `controls` are those of earlier runs."""

    def __init__(
        self,
        outlet: Outlet,
        controls: Mapping[str, bytes],
        layout: Layout,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outlet = outlet
        self._layout = layout
        self._clock = clock
        self._known = {
            key.removeprefix(KEPT): msgspec.json.decode(value, type=Known)
            for key, value in controls.items()
            if key.startswith(KEPT)
        }

    def enter(self, topic: str, *, keyed: bool, position: Position) -> None:
        """A topic is about to be written to, for the first time in this run, and from this position on."""
        known, count = self._known.get(topic), self._layout.partitions[topic]
        if known is not None and not known.sent:
            log.warning(
                "a fence that an earlier run did not finish is void", topic=topic, number=known.number
            )
            void = Fence(VOID, known.number, known.partitions)
            self._mark(topic, void, 0)
            self._outlet.settle()
        if known is None:
            self._keep(topic, Known(count), now=True)
        elif known.partitions != count and keyed:
            log.warning("partitions were added", topic=topic, before=known.partitions, now=count)
            self.send(topic, MOVED, position)
        elif known.partitions != count or not known.sent:
            self._keep(topic, replace(known, partitions=count, sent=True), now=False)

    def begin(
        self, topic: str, table: str, position: Position, value: bytes | None, headers: Headers
    ) -> None:
        """A copy begins whose rows are gathered beside the table."""
        gathers = Gathers(table, value, headers, position)
        self._keep(topic, replace(self._known[topic], gathers=gathers), now=False)
        self.send(topic, BEGIN, position, value, headers)

    def gathering(self) -> dict[str, Gathers]:
        """Copies that were begun so and are not ended, by topic."""
        return {topic: known.gathers for topic, known in self._known.items() if known.gathers is not None}

    def end(self, table: str, kind: str, position: Position) -> None:
        """Such a copy ends, by one of `TAKE` and `LEAVE`, if it was begun."""
        for topic, gathers in self.gathering().items():
            if gathers.table == table:
                headers = [(TABLE, gathers.value), *gathers.headers]
                self.send(topic, kind, position, None, headers)
                self.given_up(topic)

    def given_up(self, topic: str) -> None:
        """Nothing is gathered of this topic any more."""
        if (known := self._known.get(topic)) is not None and known.gathers is not None:
            self._keep(topic, replace(known, gathers=None), now=False)

    def send(
        self, topic: str, kind: str, position: Position, value: bytes | None = None, headers: Headers = ()
    ) -> None:
        """A marker to every partition. `value` is what stands in that of partition 0."""
        count = self._layout.partitions[topic]
        known = self._known.get(topic, Known(count))
        number = max(
            known.number + 1, int(self._clock() * 1_000_000)
        )  # higher even if the last one is not known any more
        fence = Fence(kind, number, count, position)
        known = replace(known, partitions=count, number=number, sent=False)
        self._keep(topic, known, now=True)
        for partition in range(1, count):
            self._mark(topic, fence, partition)
        self._outlet.settle()
        self._mark(topic, fence, 0, value, headers)
        self._outlet.settle()
        self._keep(topic, replace(known, sent=True), now=False)

    def _mark(
        self, topic: str, fence: Fence, partition: int, value: bytes | None = None, headers: Headers = ()
    ) -> None:
        compacted = self._layout.is_compacted(topic)
        key = (KEY_OF_ENDS if fence.kind in (TAKE, LEAVE) else KEY) if value is None or compacted else None
        if compacted:
            value = value or COMPACTED_VALUE
        self._outlet.put(topic, value, key, [fence.header(), *headers], partition)

    def _keep(self, topic: str, known: Known, *, now: bool) -> None:
        self._known[topic] = known
        self._outlet.remember(KEPT + topic, msgspec.json.encode(known), now=now)
        if now:
            self._outlet.settle()


def changed(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Topics that have other numbers of partitions now."""
    return sorted(topic for topic, count in before.items() if now.get(topic, count) != count)
