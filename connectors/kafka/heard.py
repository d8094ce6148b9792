"""What kafka-python says only in its log: why it cannot connect.

Its calls end in a time-out whatever the reason; the reason is an argument of a log record just before.
"""

from __future__ import annotations

import logging
import time
from functools import cache

RECENT = 30.0  # seconds


class Ear(logging.Handler):
    """Remembers the last exception that was logged, and when; one that names its reason is not replaced by one that does not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._last: tuple[float, BaseException] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        for argument in record.args if isinstance(record.args, tuple) else ():
            if not isinstance(argument, BaseException) or type(argument).__name__ == "KafkaTimeoutError":
                continue
            if "socket disconnected" in str(argument) and self.since(time.monotonic() - RECENT):
                continue
            self._last = (time.monotonic(), argument)

    def since(self, moment: float) -> BaseException | None:
        """The last exception, if it was logged after the moment (of time.monotonic)."""
        return self._last[1] if self._last and self._last[0] >= moment else None


@cache
def ear() -> Ear:
    """The process's one, put in place when it is first asked for.

    What it hears goes no further: errors are raised, and told once.
    """
    handler, logger = Ear(), logging.getLogger("kafka")
    logger.addHandler(handler)
    logger.propagate = False
    return handler
