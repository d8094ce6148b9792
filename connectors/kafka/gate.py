"""The gate at a fence: partitions stop there, and are let go on once `holding.py` says so.

A partition that stops is paused; what had come of it already waits in its buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from cdc.events import Event
from cdc.interfaces import Checkpoint
from connectors.kafka.buffers import Buffer
from connectors.kafka.consuming import Consumer, Received
from connectors.kafka.fences import COMPACTED_VALUE, TABLE, Fence
from connectors.kafka.holding import Holding, mark_name

log = structlog.get_logger()

LOOK = 0.3  # seconds between questions to the warehouse while a partition waits
LONG = 60.0  # seconds after which it is told who is waited for


class Gate:
    """Used by the subscriber's thread. `state` asks the warehouse, which another applier may have brought on."""

    def __init__(
        self,
        holding: Holding,
        consumer: Consumer,
        decode: Callable[[Received], Iterable[Event]],
        state: Callable[[], Checkpoint],
        clock: Callable[[], float],
    ) -> None:
        self._holding = holding
        self._consumer = consumer
        self._decode = decode
        self._state = state
        self._clock = clock
        self._asked = float("-inf")

    def arrive(self, buffer: Buffer, fence: Fence, record: Received) -> None:
        """A partition has met its marker: it goes on, or stops until it may."""
        if self._holding.may_pass(buffer.partition, fence):
            self._cross(buffer, fence, record)
        else:
            self._consumer.pause(buffer.partition)
            known = self._holding.has_reached(buffer.partition, fence)
            buffer.stop(fence, record, known=known, now=self._clock())
            log.info("waiting at a fence", partition=mark_name(buffer.partition), kind=fence.kind)

    def open(self, buffers: Collection[Buffer], take: Callable[[list[Received]], None]) -> bool:
        """Let go on who may, and `take` what has waited; True if others wait still. Raises Overtaken."""
        held = [buffer for buffer in buffers if buffer.fence is not None]
        if held:
            self._look(buffers)
        waiting = False
        for buffer in held:
            assert buffer.fence is not None
            if self._is_open(buffer, buffer.fence):
                fence, (marker, *rest) = buffer.fence, buffer.go_on()
                self._cross(buffer, fence, marker)
                take(rest)
            if buffer.fence is None:
                self._consumer.resume(buffer.partition)
            else:
                waiting = True
        return waiting

    def _look(self, buffers: Collection[Buffer]) -> None:
        if self._clock() - self._asked >= LOOK:
            self._asked = self._clock()
            state = self._state()
            for buffer in buffers:
                buffer.check(state.marks)
            self._holding.learn(state)

    def _is_open(self, buffer: Buffer, fence: Fence) -> bool:
        if self._holding.may_pass(buffer.partition, fence, lambda: self._ends(buffer, fence)):
            return True
        if self._clock() - buffer.waits_since >= LONG:
            buffer.waits_since = self._clock()
            others = self._holding.missing(buffer.partition[0], fence) if buffer.partition[1] == 0 else [0]
            log.warning(
                "a partition waits for others of its topic",
                partition=mark_name(buffer.partition), others=others, hint="is one of the appliers stuck? see `cdc lag`",
            )  # fmt: skip
        return False

    def _cross(self, buffer: Buffer, fence: Fence, marker: Received) -> None:
        """Only partition 0 has a marker that means something by itself."""
        for name, value in marker.headers or ():
            if name == TABLE:
                marker = marker._replace(value=value)
        empty = buffer.partition[1] or marker.value in (None, COMPACTED_VALUE)
        buffer.cross(fence, marker, () if empty else self._decode(marker), self._clock())

    def _ends(self, buffer: Buffer, fence: Fence) -> Mapping[int, int]:
        """Where the other partitions ended when partition 0 first waited here."""
        if buffer.ends is None:
            others = range(1, fence.partitions)
            bounds = {each: self._consumer.bounds((buffer.partition[0], each)) for each in others}
            buffer.ends = {each: high if low < high else -1 for each, (low, high) in bounds.items()}
        return buffer.ends
