"""Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once. Nothing is lost by either."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_on_signals(doing: str = "applying what was received") -> Iterator[threading.Event]:
    """An event that is set by the first signal; `doing` tells what a person waits for then ("": nothing worth telling).

    For the main thread.
    """
    stop = threading.Event()
    asked = False
    signals: SimpleQueue[int] = SimpleQueue()

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)  # unwinding would wait for the very things that do not end
        asked = True
        signals.put(number)

    def pass_on() -> None:
        # Not the handler: it may have interrupted the main thread inside of stop.wait(), whose lock stop.set() takes. A
        # SimpleQueue is made for that.
        number = signals.get()
        if number:
            stop.set()
        if number == signal.SIGINT and doing:
            # Not by a console, which would write into the middle of a live display.
            sys.stderr.write(f"\nstopping: {doing}; once more to end at once\n")

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signals.put(0)
