"""The heartbeat: something is written to the source's WAL now and then, and the source is asked where it is.

So the slot of an idle database moves beside a busy one of the same cluster, and an idle stream can be told from a dead one
(`cdc.lag.Proof`). What is written is a logical message, which needs no table and no right; or a statement of the
user's, where that is refused or another tool looks for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import structlog

from cdc.config import SourceSettings
from cdc.lsn import Lsn
from cdc.source.assemble import HEARTBEAT
from cdc.source.connect import Connection, Side
from cdc.source.slot import read_position

log = structlog.get_logger()

EMIT = "select pg_logical_emit_message(false, %s, '')"


class Heartbeat:
    """For one thread. `asked` is told when the source was asked, and where it was."""

    def __init__(
        self, settings: SourceSettings, asked: Callable[[float, Lsn], None], beaten: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._side = Side(settings)
        self._asked = asked
        self._beaten = beaten
        self._refused = ""

    def beat(self) -> None:
        """Write and ask. Raises SourceError if the source cannot even be asked."""
        at, lsn = self._side.run("cannot ask the source where it is", self._beat)
        self._asked(at, lsn)

    def close(self) -> None:
        """Let go of the connection."""
        self._side.close()

    def _beat(self, connection: Connection) -> tuple[float, Lsn]:
        at = time.time()
        if self._settings.heartbeat_interval:
            self._write(connection)
        return at, read_position(connection)

    def _write(self, connection: Connection) -> None:
        """A refusal is told once: the line goes on without."""
        query = self._settings.heartbeat_query
        try:
            if query:
                connection.execute(query.encode())
            else:
                connection.execute(EMIT, [HEARTBEAT])
        except (psycopg.errors.OperationalError, psycopg.InterfaceError):
            raise
        except psycopg.Error as error:
            said = error.diag.message_primary or str(error)
            if said != self._refused:
                self._refused = said
                log.warning(
                    "heartbeat.refused",
                    why=said,
                    hint="set [source] heartbeat_query to what is allowed (write schema.table), or heartbeat_interval = 0",
                )
        else:
            self._refused = ""
            self._beaten()
