"""The watch: a thread beside the line that beats the heart, keeps the past for plots, and guards the source's disk.

It never holds up the line and never ends it; what it cannot do now it does a second later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from cdc.book import Book
from cdc.config import Config
from cdc.errors import SourceError
from cdc.guard import Guard
from cdc.shedding import Shedding
from cdc.source.heartbeat import Heartbeat
from cdc.source.slot_status import SlotWatch
from cdc.status import Sample, Status

log = structlog.get_logger()

TICK = 1.0
ASK_SECONDS = 10.0  # between two questions where the source is, if no heartbeat is written
SAMPLE_SECONDS = 5.0
SAMPLES = 720  # an hour


class Watch:
    """One daemon's. `samples` may be read by any thread."""

    def __init__(
        self,
        config: Config,
        book: Book,
        slot: SlotWatch,
        shedding: Shedding,
        status: Callable[[], Status],
        *,
        reader: bool,
    ) -> None:
        self._reader = reader
        self._book = book
        self._status = status
        self._heart = Heartbeat(config.source, book.asked, book.meters.heartbeats.inc)
        self._interval = config.source.heartbeat_interval or ASK_SECONDS
        self._guard = Guard(config.source, book, slot, shedding)
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._over = threading.Event()
        self._beats = self._sampled = 0.0
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread. May be called twice."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def samples(self) -> list[Sample]:
        """The last hour, the oldest first."""
        return list(self._samples)

    def _run(self) -> None:
        try:
            while not self._over.wait(0.1 if not self._beats else TICK):
                self._tick(time.monotonic())
        except Exception:
            log.exception("watch.bug")
            self._book.note("error", "a bug ended the watch: no heartbeats and no guard until a restart")
        finally:
            self._heart.close()

    def _tick(self, now: float) -> None:
        state = self._book.state
        if not self._reader:
            self._beats = now
        elif state == "streaming" and (not self._beats or now - self._beats >= self._interval):
            try:
                self._heart.beat()
                self._beats = now
            except SourceError as error:
                log.debug("heartbeat.failed", error=str(error))
        elif state in ("retrying", "paused"):
            self._beats = 0.0  # once it streams again, ask at once
        if state != "starting" and now - self._sampled >= SAMPLE_SECONDS:
            self._sampled = now
            status = self._status()
            self._samples.append(_sample(status))
            if self._reader:
                self._guard.look(status.source)


def _sample(status: Status) -> Sample:
    return Sample(
        at=time.time(),
        behind_bytes=status.source.behind_bytes,
        retained_bytes=status.source.retained_bytes,
        behind_seconds={each.name: each.behind_seconds for each in status.warehouses},
        lag_p95={each.name: each.lag_p95 for each in status.warehouses},
        rows_per_second={each.name: each.rows_per_second for each in status.warehouses},
    )
