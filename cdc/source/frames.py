"""The frames inside CopyData of a replication connection: what is around the server's messages, and our answer.

From the server come XLogData ('w': a message of the output plugin) and keepalives ('k': where the server stands, and
whether it wants an answer). To it goes the standby status update ('r'), which confirms a position. See "Streaming
Replication Protocol" in PostgreSQL's documentation. There, times are microseconds since 2000-01-01; here, seconds
since the Unix epoch.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

from cdc.errors import DecodeError
from cdc.lsn import Lsn

XLOG_DATA, KEEPALIVE, STATUS_UPDATE = b"wkr"
PAYLOAD = 25  # where the plugin's message begins in an XLogData frame: it is decoded in place, not copied out
POSTGRES_EPOCH = 946_684_800  # 2000-01-01 as Unix time

_XLOG_DATA = Struct(">BQQq")
_KEEPALIVE = Struct(">BQqB")
_STATUS_UPDATE = Struct(">BQQQqB")

Frame: TypeAlias = bytes | memoryview


def read_xlog_data(frame: Frame) -> tuple[Lsn, Lsn, float]:
    """The message's WAL position (0: it stands for no record), the server's end of WAL, and when it was sent."""
    if len(frame) <= PAYLOAD or frame[0] != XLOG_DATA:
        raise _malformed(frame)
    _, wal_start, wal_end, sent = _XLOG_DATA.unpack_from(frame)
    return wal_start, wal_end, sent / 1e6 + POSTGRES_EPOCH


def read_keepalive(frame: Frame) -> tuple[Lsn, bool]:
    """Up to where everything has been sent, and whether an answer is wanted (else the server soon hangs up)."""
    if len(frame) != _KEEPALIVE.size or frame[0] != KEEPALIVE:
        raise _malformed(frame)
    _, wal_end, _, reply_wanted = _KEEPALIVE.unpack_from(frame)
    return wal_end, bool(reply_wanted)


def status_update(confirmed: Lsn, now: float, *, reply_wanted: bool = False) -> bytes:
    """Tell the server that all up to `confirmed` is durable downstream, so the slot may forget it.

    Written, flushed and applied are the same: what was only received is nobody's business, and a server that waits
    for us as a synchronous standby waits for the right thing.
    """
    sent = round((now - POSTGRES_EPOCH) * 1e6)
    return _STATUS_UPDATE.pack(STATUS_UPDATE, confirmed, confirmed, confirmed, sent, reply_wanted)


def _malformed(frame: Frame) -> DecodeError:
    kind = repr(bytes(frame[:1]))[1:] if len(frame) else "none"
    return DecodeError(
        f"a frame of the replication stream cannot be read: kind {kind}, {len(frame)} bytes",
        why="it is neither XLogData ('w', more than 25 bytes) nor a keepalive ('k', 18 bytes)",
        hint="connect to PostgreSQL itself, not through a pooler, and restart: nothing confirmed is lost",
    )
