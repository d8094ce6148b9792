"""How far each warehouse is behind the log, as the log's brokers tell it; for any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from cdc import registry
from cdc.config import MEMORY, Config
from cdc.errors import TransportError
from cdc.status import PartitionLag, WarehouseStatus
from cdc.wire.names import Topics

FRESH = 2.0  # seconds for which an answer is given again, unless something was published since


class LogWatch:
    """Asks when it is asked, if the last answer is old. `published` counts what the reader here has published."""

    def __init__(self, config: Config, published: Callable[[], int] = lambda: 0) -> None:
        self._config = config
        self._published = published
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, int, Sequence[PartitionLag] | None]] = {}
        self._wanted: Callable[[str], bool] | None = None

    def complete(self, status: WarehouseStatus, *, drained: bool) -> None:
        """Put into a warehouse's status what is known of its appliers in all processes. `drained`: the stream gives no more.

        Nothing is changed where the transport is no log, or its brokers cannot be asked.
        """
        found = self._lags(status.name)
        if found is None:
            return
        status.partitions = list(found)
        status.records_behind = sum(each.records for each in found)
        if status.records_behind == 0 and drained:
            status.behind_seconds = 0.0
        elif status.behind_seconds == 0.0:
            applied = status.applied_commit_time
            status.behind_seconds = None if applied is None else max(time.time() - applied, 0.0)

    def _lags(self, warehouse: str) -> Sequence[PartitionLag] | None:
        if self._config.transport.kind == MEMORY:
            return None
        with self._lock:
            asked, published, found = self._known.get(warehouse, (0.0, -1, None))
            now = self._published()
            if time.monotonic() - asked >= FRESH or published != now:
                transport = registry.transport(self._config.transport.kind)
                settings = self._config.transport
                if self._wanted is None:
                    self._wanted = Topics(self._config.format, transport.prefix(settings)).is_table
                try:
                    found = transport.lag(settings, warehouse, self._wanted)
                except TransportError:
                    found = None
                self._known[warehouse] = (time.monotonic(), now, found)
            return found
