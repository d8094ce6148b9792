"""Tables that are to be copied besides those that were there at the start: asked for by a person, or found to be new.

Both are jobs of the reader, so they see the stream between two transactions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from cdc.copy_request import CopyRequest, asked_anew, chosen
from cdc.errors import CdcError, SourceError
from cdc.progress import Progress, encode_progress
from cdc.reader import Reader
from cdc.source.capture import Capture
from cdc.source.publication import TableName
from cdc.source.snapshot import SnapshotJob

log = structlog.get_logger()


class Recopy:
    """A request, done in line (a `cdc.reader.Job`). `wait` may be called by any thread."""

    def __init__(
        self,
        request: CopyRequest,
        capture: Capture,
        snapshot: SnapshotJob,
        asked: Callable[[str], None],
    ) -> None:
        self._asked = asked
        self._request = request
        self._capture = capture
        self._snapshot = snapshot
        self._answered = threading.Event()
        self._tables: list[str] = []
        self._error: CdcError | None = None

    def due(self, reader: Reader) -> bool:  # noqa: ARG002
        return True

    def step(self, reader: Reader) -> bool:
        try:
            tables = chosen(self._request, self._capture.oids)
            for table in tables:
                progress = self._snapshot.progress(table)
                wanted = asked_anew(self._request, str(table), progress)
                if wanted is None or (wanted is progress and self._snapshot.is_at(table)):
                    continue
                if not wanted.begun:
                    reader.publisher.publish(encode_progress(str(table), wanted))
                self._snapshot.add(table, wanted)
                self._asked(str(table))
            self._tables = [str(table) for table in tables]
        except CdcError as error:
            self._error = error
        self._answered.set()
        if self._tables:
            reader.flush()  # what was accepted is not forgotten
        return True

    def wait(self, timeout: float) -> list[str]:
        """The tables that the request names. Raises CdcError."""
        if not self._answered.wait(timeout):
            raise SourceError(
                "the request was not taken up", why="the stream is busy with a large transaction"
            )
        if self._error is not None:
            raise self._error
        return self._tables


class Discovery:
    """Looks now and then for tables that the settings name and that were not there before (a `cdc.reader.Job`)."""

    def __init__(
        self,
        capture: Capture,
        found: Callable[[TableName], None],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capture = capture
        self._found = found
        self._interval = interval
        self._clock = clock
        self._next = clock() + interval
        self._refused: set[TableName] = set()

    def due(self, reader: Reader) -> bool:  # noqa: ARG002
        return self._clock() >= self._next

    def step(self, reader: Reader) -> bool:
        self._next = self._clock() + self._interval
        for table in self._capture.discover():
            try:
                self._capture.include(table)
            except SourceError as error:
                if table not in self._refused:
                    self._refused.add(table)
                    log.error("table_not_captured", table=str(table), why=str(error))
                continue
            log.info("table_found", table=str(table))
            reader.publisher.publish(encode_progress(str(table), Progress()))
            self._found(table)
        return False
