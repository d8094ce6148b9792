"""Where the server is in its history: asked of a walsender, which alone tells the history of timelines."""

from __future__ import annotations

import psycopg
from psycopg.pq import ExecStatus

from cdc.config import SourceSettings
from cdc.errors import SourceError
from cdc.lsn import Lsn, parse_lsn
from cdc.origin import Whereabouts
from cdc.source.connect import connect_replication, where
from cdc.source.failures import explain


def read_whereabouts(settings: SourceSettings) -> Whereabouts:
    """As of now. Raises SourceError."""
    with connect_replication(settings) as connection:
        _, timeline, lsn = _ask(connection, settings, "IDENTIFY_SYSTEM")[:3]
        (standby,) = _ask(connection, settings, "select pg_is_in_recovery()")
        forks: dict[int, Lsn] = {}
        if int(timeline) > 1:
            _, content = _ask(connection, settings, f"TIMELINE_HISTORY {timeline}")
            forks = parse_history(content)
        return Whereabouts(int(timeline), parse_lsn(lsn), forks, standby == "t")


def parse_history(content: str) -> dict[int, Lsn]:
    """A history file: per line a timeline, the LSN at which it was left, and why; # begins a comment."""
    lines = [
        line.split() for line in content.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return {int(timeline): parse_lsn(lsn) for timeline, lsn, *_ in lines}


def _ask(connection: psycopg.Connection[object], settings: SourceSettings, command: str) -> list[str]:
    result = connection.pgconn.exec_(command.encode())
    if result.status != ExecStatus.TUPLES_OK or not result.ntuples:
        what = "cannot ask the source for its history"
        if result.status == ExecStatus.FATAL_ERROR:
            raise explain(psycopg.errors.error_from_result(result), what, where=where(settings))
        raise SourceError(what, where=where(settings))
    return [(result.get_value(0, column) or b"").decode() for column in range(result.nfields)]
