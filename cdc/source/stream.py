"""The stream: events of a slot, one at a time, from the socket to the reader.

Here the parts meet: the walsender gives frames in bursts, the decoder makes messages of them and the
assembler events. Nothing is collected and nothing waits as long as something is there; when nothing is, the
reader gets `Idle` after `QUIET_SECONDS` and then again at every keepalive, wake-up and `IDLE_SECONDS`. Its `wal_end` comes
from keepalives in their place in the stream, so every commit before it has been given.

A stream is one attempt. After an error it is closed and another is made, which starts where the slot stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from cdc.config import SourceSettings
from cdc.events import Event, Idle
from cdc.lsn import Lsn
from cdc.source.frames import KEEPALIVE, read_keepalive
from cdc.source.walsender import Walsender

QUIET_SECONDS = 0.01  # a busy stream runs dry for moments, and the reader flushes when it is idle
IDLE_SECONDS = 0.5  # jobs of the reader come at least this often

Feed = Callable[[memoryview], Iterable[Event]]
"""Decoder and assembler in one: an XLogData frame in, its events out."""


class Stream:
    """Streams from the moment it is made. Iterated by one thread; the other methods may be called by any."""

    def __init__(
        self, settings: SourceSettings, feed: Feed, options: Mapping[str, str], start: Lsn = 0
    ) -> None:
        self._feed = feed
        self._received: Lsn = 0
        self._stopped = False
        self._walsender = Walsender(settings, options, start)
        self._events = self._read()

    def __iter__(self) -> Iterator[Event | Idle]:
        """Events until `stop`, always those that follow the last one given. Raises SourceError and DecodeError."""
        return self._events

    def _read(self) -> Iterator[Event | Idle]:
        feed, walsender = self._feed, self._walsender
        quiet = False
        while not self._stopped:
            burst = walsender.receive()
            for frame in burst:
                if frame[0] == KEEPALIVE:
                    self._keepalive(frame)
                else:
                    yield from feed(frame)
            if burst:
                quiet = False
            elif quiet:
                yield Idle(self._received)
                walsender.wait(IDLE_SECONDS)
            else:
                walsender.wait(QUIET_SECONDS)
                quiet = True

    @property
    def received(self) -> Lsn:
        """How far the server has read its WAL for us, as its keepalives said."""
        return self._received

    @property
    def confirmed(self) -> Lsn:
        """The highest LSN confirmed in this attempt."""
        return self._walsender.confirmed

    def confirm(self, lsn: Lsn) -> None:
        """All events of commits that end at or before `lsn` are durable downstream. Never goes backward."""
        self._walsender.confirm(lsn)

    def wake(self) -> None:
        """Have the iteration give `Idle` soon, even if nothing comes."""
        self._walsender.wake()

    def stop(self) -> None:
        """End the iteration after the events at hand. What was not confirmed will be streamed again."""
        self._stopped = True
        self._walsender.wake()

    def close(self) -> None:
        """Tell the server what is confirmed and let go of the slot. May be called twice."""
        self._walsender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keepalive(self, frame: memoryview) -> None:
        wal_end, reply_wanted = read_keepalive(frame)
        self._received = max(self._received, wal_end)
        if reply_wanted:
            self._walsender.reply()
