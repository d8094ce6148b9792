"""Dead letters of a warehouse to a topic of the log, in place of its own table: durable there before a checkpoint passes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdc.modes.letters import Letter
from cdc.registry import Letters
from cdc.wire.letters import LetterRecords


class LetterBox:
    """Used by the applier's thread, but for `close`. Raises TransportError, and Stopped once it is closed."""

    def __init__(self, records: LetterRecords, topic: Letters, clock: Callable[[], int]) -> None:
        self._records = records
        self._topic = topic
        self._clock = clock

    def tell(self, letters: Sequence[Letter]) -> None:
        """Of rows that were left out."""
        self._topic.put(self._records.told(letters, self._topic.limit))

    def mended(self, table: str) -> None:
        """What was told of this table has an end: a copy of it begins."""
        self._topic.put([self._records.mended(table, self._clock())])

    def close(self) -> None:
        """Let go of the topic. Any thread may call it, twice too."""
        self._topic.close()
