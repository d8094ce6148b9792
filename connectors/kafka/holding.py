"""Fences, as the subscriber keeps them (`fences.py` tells what they are): who has to wait, and until when. No Kafka in here.

What each partition has come to is a control record in the warehouse, committed with the rows before it. So it is known to
every applier, and after a crash:

    a partition meets its marker   its rows so far are committed, with `fence:<partition>` = the fence's number, and it stops
    partition 0 meets its marker   it stops until all others have that number; then it acts, and commits `fence:<partition 0>`
    that is committed              the others go on

A number counts for all below it, because a later fence makes good whatever an earlier one was for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from cdc.interfaces import Checkpoint, Mark
from cdc.shadows import PREFIX as BESIDE
from connectors.kafka.fences import VOID, Fence

Partition: TypeAlias = tuple[str, int]
CONTROL = "fence:"


def mark_name(partition: Partition) -> str:
    """('shop.public.orders', 3) → 'shop.public.orders/3'; a topic's name has no slash."""
    return f"{partition[0]}/{partition[1]}"


def partition_of(name: str) -> Partition:
    """The inverse."""
    topic, _, number = name.rpartition("/")
    return topic, int(number)


def reached(partition: Partition, fence: Fence) -> tuple[str, bytes]:
    """The control record: this partition has come to the fence; of partition 0, it is done with it."""
    return CONTROL + mark_name(partition), b"%d" % fence.number


class Holding:
    """What the warehouse says: marks, and the number that each partition has come to."""

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}
        self.beside: dict[str, bytes] = {}
        """Control records that tell which tables have rows gathered beside them: changed while all partitions stand still."""
        self._numbers: dict[str, int] = {}

    def learn(self, checkpoint: Checkpoint) -> None:
        """What is committed, of all partitions or of some."""
        self.marks.update(checkpoint.marks)
        for key, value in checkpoint.controls.items():
            if key.startswith(CONTROL):
                self._numbers[key.removeprefix(CONTROL)] = int(value)
            elif key.startswith(BESIDE):
                self.beside[key] = value

    def has_reached(self, partition: Partition, fence: Fence) -> bool:
        return self._numbers.get(mark_name(partition), 0) >= fence.number

    def may_pass(
        self, partition: Partition, fence: Fence, ends: Callable[[], Mapping[int, int]] | None = None
    ) -> bool:
        """May it go on? `ends` says where the other partitions ended once this marker was there.

        A marker that retention has taken away is not met any more; whoever has applied all up to the end has passed its place.
        """
        topic, number = partition
        if number:
            return self.has_reached((topic, 0), fence)
        return fence.kind == VOID or not self.missing(topic, fence, ends)

    def missing(
        self, topic: str, fence: Fence, ends: Callable[[], Mapping[int, int]] | None = None
    ) -> list[int]:
        """The partitions that have not come to it yet."""
        late = [each for each in range(1, fence.partitions) if not self.has_reached((topic, each), fence)]
        if late and ends is not None:
            found = ends()
            late = [each for each in late if self.mark((topic, each)).offset < found[each]]
        return late

    def mark(self, partition: Partition) -> Mark:
        """How far a partition is applied."""
        return self.marks.get(mark_name(partition), Mark())
