"""WAL positions: an LSN is an int of bytes since the start of WAL; a Position orders events across restarts.

Text form of an LSN: two hexadecimal halves, `16/B374D848` (PostgreSQL documentation, "pg_lsn Type").
"""

from __future__ import annotations

from typing import NamedTuple

Lsn = int


class Position(NamedTuple):
    """Where an event stands in the stream: the commit LSN of its transaction, and its number in it.

    The row's own LSN is not used: rows of concurrent transactions interleave in WAL, commits do not. `ordinal` counts the
    events of the transaction from 1; `END` stands for all of it. Compares as a tuple.
    """

    commit_lsn: Lsn
    ordinal: int


START = Position(0, 0)
END = 1 << 62  # an ordinal past every event: "the whole transaction"


def format_lsn(lsn: Lsn) -> str:
    """0x16B374D848 → '16/B374D848'."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> Lsn:
    """'16/B374D848' → 0x16B374D848. Raises ValueError for anything else."""
    high, slash, low = text.partition("/")
    if not slash or not 0 < len(high) <= 8 or not 0 < len(low) <= 8:
        raise ValueError(f"{text!r} is not an LSN such as '16/B374D848'")
    return int(high, 16) << 32 | int(low, 16)
