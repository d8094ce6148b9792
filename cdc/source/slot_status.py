"""The slot as status tells it: how far it is confirmed, and how much WAL the server keeps for it."""

from __future__ import annotations

import threading
import time

import msgspec

from cdc.config import SourceSettings
from cdc.errors import SourceError
from cdc.lsn import format_lsn
from cdc.source.connect import Connection, Side, where
from cdc.source.slot import SlotInfo, drop_slot, read_position, read_slot
from cdc.status import SourceStatus

FRESH = 1.0  # seconds for which an answer is good enough: many may ask, the server is asked once


def slot_status(connection: Connection, settings: SourceSettings) -> SourceStatus:
    """As of now."""
    status = SourceStatus(
        slot=settings.slot, publication=settings.publication, plugin=settings.plugin, server=where(settings)
    )
    slot = read_slot(connection, settings.slot)
    if slot is not None:
        _fill(status, slot, read_position(connection))
    return status


def _fill(status: SourceStatus, slot: SlotInfo, current: int) -> None:
    status.confirmed_lsn = format_lsn(slot.confirmed_lsn)
    status.current_lsn = format_lsn(current)
    status.behind_bytes = max(0, current - slot.confirmed_lsn)
    if slot.restart_lsn is not None:
        status.restart_lsn = format_lsn(slot.restart_lsn)
        status.retained_bytes = max(0, current - slot.restart_lsn)
    status.safe_wal_bytes = slot.safe_wal_size
    status.wal_status = slot.wal_status
    status.active = slot.active_pid is not None
    status.holder = slot.holder


class SlotWatch:
    """Asks for it on a connection of its own, for any thread. When the source cannot be asked, the last answer is given."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._side = Side(settings)
        self._lock = threading.Lock()
        self._asked = 0.0
        self._status = SourceStatus(
            slot=settings.slot,
            publication=settings.publication,
            plugin=settings.plugin,
            server=where(settings),
        )

    def status(self) -> SourceStatus:
        with self._lock:
            if time.monotonic() - self._asked >= FRESH:
                try:
                    self._status = self._side.run(
                        "cannot read the slot", lambda c: slot_status(c, self._settings)
                    )
                except SourceError:
                    self._status.active = None
                self._asked = time.monotonic()
            return msgspec.structs.replace(self._status)

    def give_up(self) -> None:
        """Drop the slot, taking it from whoever streams from it. All tables have to be copied again. Raises SourceError."""

        def drop(connection: Connection) -> None:
            slot = read_slot(connection, self._settings.slot)
            if slot is not None and slot.active_pid is not None:
                # As the same role: its own walsender, or that of a twin of ours.
                connection.execute("select pg_terminate_backend(%s, 5000)", [slot.active_pid])
            drop_slot(connection, self._settings, publication=False)

        with self._lock:
            self._side.run("cannot drop the slot", drop)

    def close(self) -> None:
        """Let go of the connection. May be called twice."""
        with self._lock:
            self._side.close()
