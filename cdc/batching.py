"""How many rows make a batch. Each table that a batch touches costs a warehouse some statements, however few its rows: so where
changes are spread over many tables, a batch is worth its while only with more of them. And which of its events are known."""

from __future__ import annotations

from cdc.events import Begin, Chunk, Control, Event, Gathering, Heartbeat
from cdc.lsn import Position

ROWS_OF_A_TABLE = 150  # worth its statements
SPREAD = 3  # a batch over many tables may have so many times the rows of others


def enough(batch_rows: int, tables: int) -> int:
    """Rows at which a batch that touches so many tables is handed over."""
    return min(max(batch_rows, _worth(tables)), SPREAD * batch_rows)


def is_thin(rows: int, tables: int) -> bool:
    """Whether a warehouse that is still at work is better given more at a time."""
    return rows < _worth(tables)


def _worth(tables: int) -> int:
    return ROWS_OF_A_TABLE * (tables - 1)


def is_covered(event: Event, applied: Position) -> bool:
    """Whether who has applied all up to there has this one."""
    if isinstance(event, Chunk | Gathering | Control | Heartbeat):
        return False
    begin = event if isinstance(event, Begin) else event.begin
    return begin is not None and begin.commit_lsn <= applied.commit_lsn
