"""The texts of our own columns: positions that sort as the changes came, and times as PostgreSQL prints them in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cdc.events import Begin, Cell
from cdc.lsn import Lsn, format_lsn
from cdc.schema import Column, LogicalType

TEXT, TIME, BOOL = LogicalType("text"), LogicalType("timestamptz"), LogicalType("bool")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHANGE_COLUMNS = {
    "commit_lsn": Column("_cdc_commit_lsn", TEXT, type_name="text"),
    "commit_ts": Column("_cdc_commit_ts", TIME, type_name="timestamp with time zone"),
    "op": Column("_cdc_op", TEXT, type_name="text"),
    "synced_at": Column("_cdc_synced_at", TIME, type_name="timestamp with time zone"),
}


def position_text(lsn: Lsn, ordinal: int) -> bytes:
    """A change's place in the stream; as text they sort as they came."""
    return b"%016x.%010x" % (lsn, ordinal)


def copy_text(lsn: Lsn, attempt: int) -> bytes:
    """The place of a copy: after the transaction that it was read behind, before the next one."""
    return b"%016x.f%09x" % (lsn, attempt)


def time_text(microseconds: int) -> bytes:
    """A moment since the Unix epoch."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}+00".encode()


class Stamp:
    """The cells of some of `CHANGE_COLUMNS` for one fold, made at `synced_us`. Texts are made once per transaction."""

    def __init__(self, names: Sequence[str], synced_us: int) -> None:
        self.names = names
        self.synced = time_text(synced_us)
        self.time: bytes = self.synced
        self._begin: Begin | None = None
        self._cells: dict[str, tuple[Cell, ...]] = {}

    def cells(self, begin: Begin, op: str) -> tuple[Cell, ...]:
        """Of a change. Afterwards `time` is that of its commit."""
        if begin is not self._begin:
            self._begin = begin
            self.time = time_text(begin.commit_us)
            self._cells.clear()
        known = self._cells.get(op)
        if known is None:
            known = self._cells[op] = self._made(format_lsn(begin.commit_lsn).encode(), self.time, op)
        return known

    def copied(self, lsn: Lsn, op: str) -> tuple[Cell, ...]:
        """Of copied rows: they have no commit time of their own."""
        return self._made(format_lsn(lsn).encode(), None, op)

    def _made(self, lsn: bytes, time: bytes | None, op: str) -> tuple[Cell, ...]:
        values = {"commit_lsn": lsn, "commit_ts": time, "op": op.encode(), "synced_at": self.synced}
        return tuple([values[name] for name in self.names])
