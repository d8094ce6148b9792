"""An event that stands for several: whatever ends an attempt."""

from __future__ import annotations

import threading


class Halt(threading.Event):
    """Set while the first or any other of some events is."""

    def __init__(self, stop: threading.Event, *others: threading.Event) -> None:
        super().__init__()
        self._stop, self._others = stop, others

    def is_set(self) -> bool:
        return self._stop.is_set() or any(each.is_set() for each in self._others)

    def wait(self, timeout: float | None = None) -> bool:
        """Notices the others at the end of the timeout; callers ask with short ones."""
        self._stop.wait(timeout)
        return self.is_set()
