"""How far each warehouse is behind the log, as the log's brokers tell it; for any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from cdc import registry
from cdc.config import MEMORY, Config
from cdc.errors import TransportError
from cdc.lag import PROVED, behind_seconds, told
from cdc.status import PartitionLag, WarehouseStatus
from cdc.wire.names import Topics

FRESH = 2.0  # seconds for which an answer is given again, unless something was published since
PATIENCE = 1.0  # seconds that a status waits for a new answer
TOO_OLD = 30.0  # seconds after which an old one says nothing


class Answer(NamedTuple):
    """What was said, when it was asked, and how far the reader here had published by then.

    `proved_at`: all that the source had at that time is on the log, says the reader elsewhere (asked for before the lags).
    """

    asked: float
    published: int
    lags: Sequence[PartitionLag] | None
    proved_at: float | None = None


class LogWatch:
    """Asks when its answer is old. `published` counts what the reader here has published, if there is a `reader`.

    It asks in a thread of its own, so that nobody waits long for brokers that are away, unless it is to `wait`.
    """

    def __init__(
        self,
        config: Config,
        published: Callable[[], int] = lambda: 0,
        *,
        wait: bool = False,
        reader: bool = True,
    ) -> None:
        self._config = config
        self._published = published
        self._wait = wait
        self._reader = reader
        self._answered = threading.Condition()
        self._asking: set[str] = set()
        self._known: dict[str, Answer] = {}
        self._synced: dict[str, float] = {}  # when a warehouse was last known to have all

    def complete(self, status: WarehouseStatus, *, drained: bool) -> None:
        """Put into a warehouse's status what is known of its appliers in all processes. `drained`: the stream gives no more.

        Without a reader here, and with all on the log applied, it is as far behind as that reader's last word: it may be away,
        or there may be none of ours (Debezium's topics), and then nothing is known.

        Nothing is changed where the transport is no log.
        """
        if self._config.transport.kind == MEMORY:
            return
        answer = self._answer(status.name)
        if answer.lags is not None:
            status.partitions = list(answer.lags)
            status.records_behind = sum(each.records for each in answer.lags)
        if status.records_behind == 0 and drained and answer.published == self._published():
            status.behind_seconds = 0.0
        elif status.records_behind == 0 and not self._reader:
            now, applied_us = time.time(), int((status.applied_commit_time or 0) * 1e6)
            status.behind_seconds = answer.proved_at and behind_seconds(
                now, 0, applied_us, drained=True, proved_at=answer.proved_at
            )
        elif status.behind_seconds == 0.0:
            applied = status.applied_commit_time
            status.behind_seconds = None if applied is None else max(time.time() - applied, 0.0)
        self._since(status)
        for table in status.tables:
            if table.state == "live":
                table.behind_seconds = status.behind_seconds

    def _since(self, status: WarehouseStatus) -> None:
        """What waits for company after a long silence is not as old as what was applied before that."""
        behind, now = status.behind_seconds, time.time()
        if behind is None:
            return
        if status.records_behind == 0:
            self._synced[status.name] = now - behind
        elif (since := self._synced.get(status.name)) is not None:
            status.behind_seconds = min(behind, max(now - since, 0.0))

    def _answer(self, warehouse: str) -> Answer:
        """The last one; a new one is asked for if it is old, or something was published since."""
        with self._answered:
            known = self._known.get(warehouse, NOTHING)
            old = time.monotonic() - known.asked >= FRESH or known.published != self._published()
            if not old:
                return known
            if warehouse not in self._asking:
                self._asking.add(warehouse)
                threading.Thread(target=self._ask, args=(warehouse,), name="log watch", daemon=True).start()
            patience = None if self._wait else PATIENCE
            self._answered.wait_for(lambda: warehouse not in self._asking, patience)
            known = self._known.get(warehouse, NOTHING)
            return known if time.monotonic() - known.asked < TOO_OLD else NOTHING

    def _ask(self, warehouse: str) -> None:
        settings, published, asked = self._config.transport, self._published(), time.monotonic()
        found: Sequence[PartitionLag] | None = None
        proved_at = None
        try:
            transport = registry.transport(settings.kind)
            wanted = Topics(self._config.format, transport.prefix(settings)).is_table
            if not self._reader:
                with suppress(TransportError):
                    proved_at = told(transport.last_control(settings, PROVED))
            with suppress(TransportError):
                found = transport.lag(settings, warehouse, wanted)
        finally:
            with self._answered:
                self._known[warehouse] = Answer(asked, published, found, proved_at)
                self._asking.discard(warehouse)
                self._answered.notify_all()


NOTHING = Answer(float("-inf"), -1, None)
