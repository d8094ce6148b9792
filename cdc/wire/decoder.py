"""The decoder: records as events again. Ours exactly, by the table schemas that went before them; Debezium's by what they say.

A record of ours names its table's schema, which `cdc-schemas` has; until the decoder has seen that, it raises
`SchemaUnknown`. What is no change of a row (tombstones, heartbeats, transaction metadata) gives nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from cdc.errors import CdcError, ConfigError, DecodeError
from cdc.events import Begin, Event, Message
from cdc.format import FormatSettings
from cdc.lsn import Lsn
from cdc.schema import Table
from cdc.wire.foreign import Foreign
from cdc.wire.names import Topics
from cdc.wire.own import OwnTable, Place, Source
from cdc.wire.schemas import decode_table
from cdc.wire.source import POSITION_HEADER, UNSENT_HEADER


class SchemaUnknown(DecodeError):
    """A record came before the schema that it names: read the schemas topic, then decode it again."""

    def __init__(self, schema_id: str, topic: str) -> None:
        super().__init__(
            f"there is no schema {schema_id}", where=topic, hint="it is on the topic cdc-schemas"
        )
        self.schema_id = schema_id


class AnyRecord(Protocol):
    """What is read of a record, whichever client brought it."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]] | None: ...


class Head(msgspec.Struct, gc=False):
    """What is read first of a record that is not as the topic's last one."""

    op: str
    source: Source
    message: dict[str, str | None] | None = None


class WrappedHead(msgspec.Struct, gc=False):
    """A head whose value has its schema with it."""

    payload: Head | None = None


_head, _wrapped = msgspec.json.Decoder(Head), msgspec.json.Decoder(WrappedHead)


class Decoder:
    """Decodes what is on the topics under a prefix."""

    def __init__(self, settings: FormatSettings, *, prefix: str) -> None:
        if settings.event_form != "debezium":
            raise ConfigError(
                f"records of the form {settings.event_form!r} cannot be read back",
                why="they do not say enough",
                hint='appliers need [format] event_form = "debezium"',
            )
        self.topics = Topics(settings, prefix)
        self.tables: dict[str, Table] = {}
        """Schemas seen, by id."""
        self._settings = settings
        self._own: dict[str, OwnTable] = {}
        self._last: dict[str, OwnTable] = {}
        """By topic: what its last record was of."""
        self._foreign = Foreign(settings)
        self._begin = Begin(-1, 0, 0)

    def decode(self, record: AnyRecord) -> Sequence[Event]:
        """The events of a record: none or one. Raises DecodeError for what is none of ours and none of Debezium's."""
        value, topic = record.value, record.topic
        if value is None:
            return ()
        try:
            last = self._last.get(topic)
            if last is not None and not record.headers:
                try:
                    event = last.event(value, self._begun)
                except (
                    msgspec.ValidationError
                ):  # of another shape, it seems, in which a column has another type
                    event = None
                if event is not None:
                    return (event,)
            return self._decode(record, topic, value)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            if isinstance(error, CdcError):
                raise
            raise DecodeError("a record cannot be read", why=_reason(error), where=topic) from error

    def learn(self, value: bytes) -> Table:
        """Take in a table's schema."""
        table = decode_table(value)
        return self.tables.setdefault(table.fingerprint, table)

    def _decode(self, record: AnyRecord, topic: str, value: bytes) -> Sequence[Event]:
        if topic == self.topics.schemas:
            self.learn(value)
            return ()
        if topic in (self.topics.transaction, self.topics.heartbeat):
            return ()
        headers = dict(record.headers or ())
        place = _place(headers.get(POSITION_HEADER))
        if place is None or place.schema_id == "-":
            head = _wrapped.decode(value).payload if value.startswith(b'{"schema":') else _head.decode(value)
            if head is None:
                return ()
            if head.op == "m":
                return (self._message(head, place),)
            if head.source.schema_id is None:
                return self._foreign.decode(record.key, value)
            ident = head.source.schema_id
        else:
            ident = place.schema_id
        unsent = headers.get(UNSENT_HEADER)
        names = msgspec.json.decode(unsent, type=set[str]) if unsent else ()
        own = self._last[topic] = self._table(ident, topic)
        event = own.event(value, self._begun, place, names)
        return () if event is None else (event,)

    def _table(self, schema_id: str, topic: str) -> OwnTable:
        found = self._own.get(schema_id)
        if found is None:
            table = self.tables.get(schema_id)
            if table is None:
                raise SchemaUnknown(schema_id, topic)
            found = self._own[schema_id] = OwnTable(table, self._settings, self.topics)
        return found

    def _begun(self, commit_lsn: Lsn, us: int, xid: int) -> Begin:
        """One `Begin` for all records of a transaction that come one after the other."""
        begin = self._begin
        if begin.commit_lsn != commit_lsn or begin.xid != xid or begin.commit_us != us:
            begin = self._begin = Begin(commit_lsn, us, xid)
        return begin

    def _message(self, head: Head, place: Place | None) -> Message:
        source, message = head.source, head.message or {}
        commit_lsn, ordinal = place[1:] if place else (source.commit_lsn, source.ordinal)
        begin = self._begun(commit_lsn, source.us, source.txId) if source.txId is not None else None
        content = msgspec.convert(message.get("content") or "", bytes)
        return Message(message.get("prefix") or "", content, source.lsn or 0, begin, ordinal)


def _place(header: bytes | None) -> Place | None:
    if not header:
        return None
    ident, commit_lsn, ordinal = header.decode().split(" ")
    return Place(ident, int(commit_lsn), int(ordinal))


def _reason(error: Exception) -> str:
    """What is wrong, without a row's values."""
    return str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
