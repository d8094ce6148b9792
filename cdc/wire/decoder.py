"""The decoder: records as events again. Ours exactly, by the table schemas that went before them; Debezium's by what they say.

A record of ours names its table's schema, which `cdc-schemas` has; until the decoder has seen that, it raises
`SchemaUnknown`. What is no change of a row (tombstones, heartbeats, transaction metadata) gives nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from cdc.errors import CdcError, ConfigError, DecodeError
from cdc.events import DELETE, TRUNCATE, Begin, Cell, Change, Event, Message, Truncate
from cdc.format import FormatSettings
from cdc.schema import Table
from cdc.wire.foreign import Foreign
from cdc.wire.names import Topics
from cdc.wire.own import OwnTable
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


class Source(msgspec.Struct):
    """The part of the source block that is read."""

    schema: str = ""
    table: str = ""
    ts_ms: int = 0
    ts_us: int | None = None
    txId: int | None = None
    lsn: int | None = None
    sequence: str | None = None
    snapshot: str | None = None
    schema_id: str | None = None
    commit_lsn: int | None = None
    ordinal: int | None = None


class Payload(msgspec.Struct):
    """An envelope; rows as pieces of JSON text."""

    op: str
    source: Source
    before: dict[str, msgspec.Raw] | None = None
    after: dict[str, msgspec.Raw] | None = None
    message: dict[str, str | None] | None = None


class Wrapped(msgspec.Struct):
    """A value with its schema."""

    schema: msgspec.Raw
    payload: Payload | None = None


_payload, _wrapped = msgspec.json.Decoder(Payload), msgspec.json.Decoder(Wrapped)


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
        self._foreign = Foreign(settings)
        self._begin = Begin(-1, 0, 0)

    def decode(self, record: AnyRecord) -> Sequence[Event]:
        """The events of a record: none or one. Raises DecodeError for what is none of ours and none of Debezium's."""
        if record.value is None:
            return ()
        if record.topic == self.topics.schemas:
            self.learn(record.value)
            return ()
        if record.topic in (self.topics.transaction, self.topics.heartbeat):
            return ()
        try:
            return self._decode(record, record.value)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            if isinstance(error, CdcError):
                raise
            raise DecodeError("a record cannot be read", why=_reason(error), where=record.topic) from error

    def learn(self, value: bytes) -> Table:
        """Take in a table's schema."""
        table = decode_table(value)
        return self.tables.setdefault(table.fingerprint, table)

    def _decode(self, record: AnyRecord, value: bytes) -> Sequence[Event]:
        schema = b""
        if value.startswith(b'{"schema":'):
            whole = _wrapped.decode(value)
            schema, payload = bytes(whole.schema), whole.payload
        else:
            payload = _payload.decode(value)
        if payload is None:
            return ()
        headers = dict(record.headers or ())
        source = payload.source
        if place := headers.get(POSITION_HEADER):
            ident, commit_lsn, ordinal = place.decode().split(" ")
            source.schema_id, source.commit_lsn, source.ordinal = ident, int(commit_lsn), int(ordinal)
        if payload.op == "m":
            return (self._message(payload),)
        if source.schema_id is None:
            return self._foreign.decode(record.key, schema, payload)
        return (self._change(record.topic, len(value), payload, headers),)

    def _change(self, topic: str, size: int, payload: Payload, headers: dict[str, Any]) -> Event:
        source = payload.source
        table = self._table(str(source.schema_id), topic)
        begin, ordinal, lsn = self._begun(source), source.ordinal or 0, source.lsn or 0
        if payload.op == TRUNCATE:
            return Truncate(table.table, begin, ordinal, lsn)
        unsent = (
            msgspec.json.decode(headers[UNSENT_HEADER], type=set[str]) if UNSENT_HEADER in headers else ()
        )
        new: tuple[Cell, ...] | None = None
        if payload.after is not None and payload.op != DELETE:
            new = table.new(payload.after, unsent)
        old = table.old(payload.before) if payload.before is not None else None
        return Change(table.table, payload.op, old, new, begin, ordinal, lsn, size)

    def _table(self, schema_id: str, topic: str) -> OwnTable:
        found = self._own.get(schema_id)
        if found is None:
            table = self.tables.get(schema_id)
            if table is None:
                raise SchemaUnknown(schema_id, topic)
            found = self._own[schema_id] = OwnTable(table, self._settings, self.topics)
        return found

    def _begun(self, source: Source) -> Begin:
        """One `Begin` for all records of a transaction that come one after the other."""
        commit_lsn, xid = source.commit_lsn or 0, source.txId or 0
        us = source.ts_ms * 1000 if source.ts_us is None else source.ts_us
        if (self._begin.commit_lsn, self._begin.xid, self._begin.commit_us) != (commit_lsn, xid, us):
            self._begin = Begin(commit_lsn, us, xid)
        return self._begin

    def _message(self, payload: Payload) -> Message:
        source, message = payload.source, payload.message or {}
        begin = self._begun(source) if source.txId is not None else None
        content = msgspec.convert(message.get("content") or "", bytes)
        return Message(message.get("prefix") or "", content, source.lsn or 0, begin, source.ordinal or 0)


def _reason(error: Exception) -> str:
    """What is wrong, without a row's values."""
    return str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
