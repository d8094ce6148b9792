"""Feed: decoder and assembler in one, an XLogData frame in, its events out. This is what the stream is given.

`feed` is the plain way for any decoder. `PgoutputFeed` gives the same events sooner: the first eight bytes of a row's
message (kind, relation, which row, column count) say all that has to be known to read it, so rows whose head was
seen before take a fast lane past messages and dispatch. That lane is for what is frequent and simple; the first
of each kind, and whatever is unusual or broken, goes the plain way. A property test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import TypeAlias

from cdc.events import DELETE, INSERT, UPDATE, Event, Row
from cdc.source.assemble import Assembler, Shape
from cdc.source.frames import PAYLOAD, XLOG_DATA, read_xlog_data
from cdc.source.messages import (
    DecodedMessage,
    DeleteMessage,
    InsertMessage,
    RelationMessage,
    UpdateMessage,
)
from cdc.source.pgoutput import PgoutputDecoder
from cdc.source.tuples import PADDING, BrokenMessage, Splitter

Frame: TypeAlias = bytes | memoryview
Feed: TypeAlias = Callable[[Frame], Sequence[Event]]
Decoder: TypeAlias = Callable[[Frame, int], Sequence[DecodedMessage]]
"""(a frame, where its payload begins) → the messages in it, in their order."""


def feed(decode: Decoder, assemble: Assembler) -> Feed:
    """The plain way."""

    def events(frame: Frame) -> Sequence[Event]:
        lsn = read_xlog_data(frame)[0]
        size = len(frame)
        return [event for message in decode(frame, PAYLOAD) for event in assemble(message, lsn, size)]

    return events


class PgoutputFeed:
    """Callable: a frame of pgoutput's to its events."""

    def __init__(self, assemble: Assembler) -> None:
        self._assemble = assemble
        self._decode = PgoutputDecoder()
        self._lanes: dict[bytes, tuple[Splitter, Shape, str, str, bytes]] = {}

    def __call__(self, frame: Frame) -> Sequence[Event]:
        data = b"".join((frame, PADDING))
        lane = self._lanes.get(data[PAYLOAD:_ROW])
        if lane is None or data[0] != XLOG_DATA:
            return self._plain(frame, data[PAYLOAD:_ROW])
        split, shape, op, old_kind, between = lane
        end = len(frame)
        old: Row | None = None
        new: Row | None = None
        try:
            row, at = split(data, _ROW, end)
            if not old_kind:
                new = row
            elif op is DELETE:
                old = shape.old(row, old_kind)
            elif data.startswith(between, at):
                second, at = split(data, at + len(between), end)
                old, new = shape.both(row, second, old_kind)
            else:
                at = 0
        except BrokenMessage:
            at = 0
        if at != end:
            return self._plain(frame)  # there it gets its error
        (lsn,) = _wal_start(data)
        return self._assemble.change(shape, op, old, new, lsn, end)

    def _plain(self, frame: Frame, head: bytes = b"") -> Sequence[Event]:
        lsn = read_xlog_data(frame)[0]
        message = self._decode(frame, PAYLOAD)
        events = self._assemble(message, lsn, len(frame))
        match message:
            case RelationMessage():
                self._lanes.clear()
            case InsertMessage(relation, new):
                self._open(head, relation, len(new), INSERT)
            case UpdateMessage(relation, new, _, old_kind):
                self._open(head, relation, len(new), UPDATE, old_kind)
            case DeleteMessage(relation, old, old_kind):
                self._open(head, relation, len(old), DELETE, old_kind)
        return events

    def _open(self, head: bytes, relation: int, width: int, op: str, old_kind: str = "") -> None:
        """From now on, frames with this head take the lane."""
        if head:
            shape = self._assemble.shape(relation, width)
            between = b"N" + width.to_bytes(2, "big")  # what is between the two rows of an update
            self._lanes[head] = self._decode.splitters[width], shape, op, old_kind, between


_ROW = PAYLOAD + 8  # where the first cell of a row's message begins
_wal_start = Struct(">xQ").unpack_from
