"""The line: one attempt at streaming, from the source's slot to the last warehouse, put together from the settings.

Everything is opened here, in the order in which it can fail most cheaply, and closed in the reverse order. The reader runs in
the caller's thread and each applier in one of its own. An attempt ends by its stop event, or by the first error of any part;
all state that matters is in the slot and in the warehouses, so the next attempt starts from there.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Literal

import structlog

from cdc.book import Book
from cdc.config import Config
from cdc.interfaces import View, Warehouse
from cdc.lsn import Lsn
from cdc.reader import Reader

log = structlog.get_logger()

Until = Literal["stopped", "copied", "caught_up"]
SWITCH_INTERVAL = (
    0.0005  # an applier inside the warehouse's driver gets the GIL back from a busy reader this fast
)


class Line:
    """One attempt. `run` may be called once; the rest by any thread, while it runs."""

    def __init__(self, config: Config, book: Book, until: Until = "stopped") -> None:
        self._config = config
        self._book = book
        self._until = until
        self._reader: Reader | None = None
        self._warehouses: dict[str, Warehouse] = {}
        self.streaming = threading.Event()
        """Set once the slot streams; cleared when it no longer does."""

    def run(self, stop: threading.Event) -> None:
        """Stream until `stop` is set or `until` is met. Raises CdcError.

        A clean end applies and confirms all transactions that were received whole; the rest will be streamed again.
        """
        raise NotImplementedError

    def views(self, lsn: Lsn, timeout: float) -> Mapping[str, View]:
        """Each warehouse as it is with exactly the transactions that commit below `lsn`. Raises CdcError after `timeout` seconds."""
        raise NotImplementedError
