"""Chunks in flight: begun by the reader's thread, read by workers, taken in the order in which they were begun."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from cdc.config import SnapshotSettings
from cdc.errors import Stopped
from cdc.reader import Reader
from cdc.source.capture import Capture
from cdc.source.chunk import Chunk, Standing
from cdc.source.copy_out import Piece
from cdc.source.copying import Copying
from cdc.source.lanes import Lanes

STOP_SECONDS = 2.0  # that chunks in flight are given at a stop


class Flight:
    """Used by the reader's thread."""

    def __init__(
        self,
        capture: Capture,
        settings: SnapshotSettings,
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capture = capture
        self._settings = settings
        self._stopping = stopping
        self._clock = clock
        self._lanes = Lanes(lambda: capture.connect(settings.dsn))
        self._workers = ThreadPoolExecutor(settings.workers, thread_name_prefix="copy")
        self._changed = threading.Condition()
        self._chunks: deque[tuple[Copying, Chunk]] = deque()

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def has_room(self) -> bool:
        """Is a worker free?"""
        return len(self._chunks) < self._settings.workers and not self._stopping()

    def begin(self, reader: Reader, copying: Copying) -> None:
        """Have the next chunk of a table read."""
        replayed = reader.received if self._settings.dsn else 0
        chunk = copying.begin(Standing(frozenset(reader.xids), replayed, self._changed))
        self._workers.submit(chunk.read, self._capture, self._lanes)
        self._chunks.append((copying, chunk))

    def first(self) -> tuple[Copying, Chunk] | None:
        """The chunk that was begun first; it may be known by now."""
        return self._chunks[0] if self._chunks else None

    @property
    def has_more(self) -> bool:
        """Are there chunks behind the first?"""
        return len(self._chunks) > 1

    def landed(self) -> None:
        """The first has been taken."""
        self._chunks.popleft()

    def wait(self, chunk: Chunk, since: float) -> bool:
        """For something to come of a chunk; False after a moment. Raises Stopped."""
        if self._stopping() and self._clock() - since > STOP_SECONDS + self._settings.max_stream_pause:
            raise Stopped("a copy was interrupted")
        with self._changed:
            if not chunk.pieces and not chunk.ended:
                self._changed.wait(0.1)
            return bool(chunk.pieces) or chunk.ended

    def pieces(self, chunk: Chunk) -> Iterator[Piece]:
        """As they come. Raises what ended the chunk before its end."""
        since = self._clock()
        while True:
            while not self.wait(chunk, since):
                pass
            with self._changed:
                if not chunk.pieces:
                    break
                piece = chunk.pieces.popleft()
                self._changed.notify_all()
            yield piece
        if chunk.error is not None:
            raise chunk.error

    def begin_again(self, copying: Copying, chunk: Chunk) -> None:
        """What was begun of this table behind the chunk is of no use now."""
        copying.begin_again()
        later = [each for other, each in self._chunks if other is copying and each is not chunk]
        for each in later:
            each.give_up()
        self._chunks = deque(pair for pair in self._chunks if pair[1] not in later)

    def abandon(self) -> None:
        """Nothing is taken any more of what is in flight."""
        for copying, chunk in self._chunks:
            chunk.give_up()
            copying.begin_again()
        self._chunks.clear()

    def rest(self) -> None:
        """There may be nothing to copy for days."""
        self._lanes.rest()

    def close(self) -> None:
        """Let go of the workers and their connections. May be called twice."""
        self.abandon()
        self._lanes.interrupt()
        self._workers.shutdown(cancel_futures=True)
        self._lanes.close()
