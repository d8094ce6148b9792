"""The guard of the source's disk and of the slot: it tells people of WAL that piles up, and follows the policy at the limit.

Under `park` it takes a step (see `cdc.shedding`) whenever the line has come no nearer to the end of WAL for some time. A line
that catches up is left alone, however much there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog

from cdc.book import Book
from cdc.config import SourceSettings
from cdc.errors import SourceError
from cdc.shedding import Shedding
from cdc.source.slot_status import SlotWatch
from cdc.status import SourceStatus

log = structlog.get_logger()

QUIET, WARN, LIMIT = "", "retained_warn_bytes", "retained_limit_bytes"
PATIENCE = 10.0  # seconds in which the line must have come nearer to the end of WAL …
LOOKS = 3  # … and looks: who has just begun again has something to do, and is not to blame


class Guard:
    """`look` at each fresh status of the slot; a change of level is told once."""

    def __init__(
        self,
        settings: SourceSettings,
        book: Book,
        slot: SlotWatch,
        shedding: Shedding,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._book = book
        self._slot = slot
        self._level = QUIET
        self._wal_status = ""
        self._shedding = shedding
        self._shed: str | None = None  # what was told last
        self._looks = 0  # since the line was nearest
        self._busy: set[str] = set()  # whoever has had something to do at each of them
        self._clock = clock
        self._nearest: tuple[float, int] | None = (
            None  # when the line was nearer than ever, and how many bytes
        )

    def look(self, source: SourceStatus) -> None:
        self._look_at_wal_status(source.wal_status or "")
        level = self._judge(source.retained_bytes)
        if level == LIMIT and self._shedding.enabled:
            self._relieve(source)
        else:
            self._nearest = self._shed = None
        if level == self._level:
            return
        before, self._level = self._level, level
        if level == QUIET:
            log.info("wal.retained_again_little", retained_bytes=source.retained_bytes)
        elif level == LIMIT:
            self._over_limit(source)
        elif before == QUIET:
            log.warning("wal.retained", retained_bytes=source.retained_bytes, hint=HINT)
            self._book.note("slot", f"the server keeps {_size(source.retained_bytes)} of WAL for the slot")

    def _judge(self, retained: int | None) -> str:
        settings = self._settings
        if retained is None:
            return self._level
        if settings.retained_limit_bytes and retained >= settings.retained_limit_bytes:
            return LIMIT
        if settings.retained_warn_bytes and retained >= settings.retained_warn_bytes:
            return WARN
        return QUIET

    def _over_limit(self, source: SourceStatus) -> None:
        said = f"the server keeps {_size(source.retained_bytes)} of WAL for the slot, over [source] retained_limit_bytes"
        log.error(
            "wal.over_limit",
            retained_bytes=source.retained_bytes,
            policy=self._settings.retained_policy,
            hint=HINT,
        )
        self._book.note("slot", said)
        if self._settings.retained_policy == "drop_slot":
            try:
                self._slot.give_up()
            except SourceError as error:
                self._level = WARN  # look again in a moment
                log.error("slot.not_dropped", error=str(error))
            else:
                log.error(
                    "slot.dropped",
                    slot=source.slot,
                    hint="`cdc drop`, then `cdc run` copies all tables again",
                )
                self._book.note(
                    "slot", "the slot was dropped to save the source's disk ([source] retained_policy)"
                )

    def _relieve(self, source: SourceStatus) -> None:
        """Take a step of shedding, if the line does not catch up. To blame is who had something to do at each of the looks."""
        now, behind = self._clock(), source.behind_bytes or 0
        waiting = {name: fill()[0] for name, fill in self._book.queues.items()}
        if self._nearest is None or behind < self._nearest[1]:
            self._begin(now, behind, waiting)
            return
        self._looks += 1
        self._busy = {name for name in self._busy if waiting.get(name)}
        if now - self._nearest[0] >= PATIENCE and self._looks >= LOOKS:
            reason = (
                f"the server kept {_size(source.retained_bytes)} of WAL, over [source] retained_limit_bytes"
            )
            said = self._shedding.shed(reason, {name: waiting[name] for name in self._busy})
            if said != self._shed:
                log.error("wal.shed", what=said or "nothing: no warehouse holds the slot up", hint=SHED_HINT)
                self._book.note("slot", f"{said or 'no warehouse holds the slot up'}: {reason}")
            self._shed = said
            self._begin(now, behind, waiting)

    def _begin(self, now: float, behind: int, names: Collection[str]) -> None:
        self._nearest, self._looks, self._busy = (now, behind), 0, set(names)

    def _look_at_wal_status(self, status: str) -> None:
        """Unreserved is the server's last warning: the slot is lost with its next checkpoint."""
        if status in ("unreserved", "lost") and status != self._wal_status:
            log.error("slot.wal_status", wal_status=status, hint=HINT)
            self._book.note("slot", f"WAL that the slot needs is {status} (max_slot_wal_keep_size)")
        self._wal_status = status


SHED_HINT = "`cdc status` says what is set aside; `cdc resync` copies it anew"
HINT = "find what holds up the line (`cdc status`), or give the slot up (`cdc drop`) before the source's disk is full"


def _size(number: int | None) -> str:
    return f"{(number or 0) / (1 << 20):,.0f} MB"
