"""Ends of partitions that somebody waits for the warehouse to have come to. No Kafka in here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from connectors.kafka.holding import Partition, partition_of


class Goals:
    """`add` may be called by any thread, `check` by the one that applies."""

    def __init__(self) -> None:
        self._goals: list[tuple[Mapping[Partition, int], threading.Event]] = []

    def add(self, ends: Mapping[str, int]) -> threading.Event:
        """An event that is set once all below these offsets is in the warehouse."""
        reached = threading.Event()
        self._goals.append(({partition_of(name): end for name, end in ends.items()}, reached))
        return reached

    @property
    def waiting(self) -> bool:
        """Does anybody wait?"""
        return bool(self._goals)

    def check(
        self,
        passed: Mapping[Partition, int],
        committed: Callable[[Collection[Partition]], Mapping[Partition, int]],
    ) -> bool:
        """Our partitions have `passed` these offsets. Of others, the group's commits are asked; True if there were any."""
        strange = False
        for goal in tuple(self._goals):
            ends, reached = goal
            others = ends.keys() - passed.keys()
            known = {**passed, **committed(others)} if others else passed
            strange = strange or bool(others)
            if all(known.get(each, 0) >= end for each, end in ends.items()):
                self._goals.remove(goal)
                reached.set()
        return strange
