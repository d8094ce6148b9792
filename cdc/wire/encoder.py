"""The encoder: the line's events to records of Kafka topics, in the shape of Debezium's.

An insert, an update or a delete is one record; a delete is followed by a tombstone, and a change of the key is a delete, a
tombstone and a create. What is the same for all records of a table stands in its `Plan`, for all of a transaction in its
source block. The encoder keeps the order of events, does no IO and reads the clock that it is given once in a while.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from cdc.events import Begin, Change, Chunk, Commit, Heartbeat, Message, Truncate
from cdc.format import FormatSettings
from cdc.lsn import Lsn
from cdc.schema import Table
from cdc.wire.connect_schema import wrapped
from cdc.wire.envelope import heartbeat_schemas, message_schemas
from cdc.wire.forms import form_of
from cdc.wire.headers import context_headers
from cdc.wire.json_text import NULL, quote_str
from cdc.wire.moment import Moment
from cdc.wire.names import Topics, matcher
from cdc.wire.plan import Plan
from cdc.wire.record import NO_HEADERS, Record
from cdc.wire.schemas import schema_record
from cdc.wire.source import POSITION_HEADER, SourceWriter, source_schema
from cdc.wire.table_encoder import TableEncoder
from cdc.wire.transactions import Transactions

Clock = Callable[[], int]
"""Nanoseconds since the epoch."""

MESSAGES = "message"
"""Under this name messages are counted in transaction metadata. Debezium has the address of a Java object there."""
CLOCK_EVERY = 64  # rows; within them `ts_ms` stands still


class Encoder:
    """Call `encode` with the events in their order. `prefix` is Debezium's topic.prefix, `database` the source's name."""

    def __init__(
        self,
        settings: FormatSettings,
        *,
        prefix: str,
        database: str,
        clock: Clock,
        version: str = "",
        run_id: str = "",
    ) -> None:
        self.settings = settings
        self.topics = Topics(settings, prefix)
        self._prefix = prefix
        self._clock = clock
        self._source = SourceWriter(
            prefix,
            database,
            version,
            exact=settings.exact,
            filled=bool(settings.replace_null_with_default),
        )
        self._form = form_of(settings)
        self._moment = Moment()
        self._context = context_headers(settings, prefix, run_id)
        self._transactions = Transactions(
            self.topics.transaction, on=settings.provide_transaction_metadata, schemas=settings.schemas_enable
        )
        self._tables: dict[Table, TableEncoder] = {}
        self._read_tables: dict[Table, TableEncoder] = {}
        self._announced: set[str] = set()
        self._last_commit: Lsn | None = None
        self._first_table: Table | None = None
        self._ticks = 0
        self._handlers: dict[type, Callable[[Any], Iterable[Record]]] = {
            Truncate: self._truncate,
            Message: self._message,
            Begin: self._transactions.begun,
            Commit: self._commit,
            Chunk: self._chunk,
            Heartbeat: lambda _: (self.heartbeat(),),
        }
        self._message_key, self._message_value = self._wrappers(
            *message_schemas(source_schema(exact=settings.exact))
        )
        self._heartbeat_key, self._heartbeat_value = self._wrappers(*heartbeat_schemas())
        self._wanted_prefix = matcher(settings.message_prefix_include_list)
        self._unwanted_prefix = matcher(settings.message_prefix_exclude_list)

    def encode(self, event: object) -> Iterable[Record]:
        """The records of an event, in their order; those of a snapshot's chunk are made as they are taken.

        `Control` and `Idle` give none, `Begin` only with transaction metadata. A table's schema comes before its first record.
        """
        if type(event) is Change:
            of = self._tables.get(event.table)
            self._ticks -= 1
            if of is None or event.begin is not of.begin or self._ticks < 0:
                return self._change(event)
            return of.change(event)
        handler = self._handlers.get(type(event))
        return () if handler is None else handler(event)

    def heartbeat(self) -> Record:
        """The record that says that all is well."""
        key = b'{"serverName":%b}' % quote_str(self._prefix)
        value = b'{"ts_ms":%d}' % (self._clock() // 1_000_000)
        return Record(
            self.topics.heartbeat,
            key.join(self._heartbeat_key),
            value.join(self._heartbeat_value),
            NO_HEADERS,
        )

    def _change(self, change: Change) -> Iterable[Record]:
        """The first change of a table or a transaction, or the first in a while."""
        known = self._tables.get(change.table)
        of = known or self._table(change.table)
        schema = () if known else self._schema(of)
        self._moment.set(self._clock())
        self._ticks = CLOCK_EVERY
        if change.begin is not of.begin:
            of.enter(change.begin, self._last_commit)
        return [*schema, *of.change(change)]

    def _truncate(self, event: Truncate) -> Iterable[Record]:
        of = self._tables.get(event.table) or self._table(event.table)
        of.enter(event.begin, self._last_commit)
        self._moment.set(self._clock())
        schema = self._schema(of)
        return [*schema, *of.truncate(event)]

    def emptied(self, chunk: Chunk) -> Sequence[Record]:
        """The record that says that a copy begins, which empties the target: a truncate's, even if those are skipped."""
        table, position = chunk.table, chunk.position
        of = self._tables.get(table) or self._table(table)
        self._moment.set(self._clock())
        begin = Begin(position.commit_lsn, self._moment.us, 0)
        of.enter(begin, self._last_commit)
        event = Truncate(table, begin, position.ordinal, position.commit_lsn)
        return [*self._schema(of), *of.emptied(event)]

    def _chunk(self, chunk: Chunk) -> Iterator[Record]:
        table = chunk.table
        of = self._read_tables.get(table)
        if of is None:
            of = self._table(table, streamed=False)
        yield from self._schema(of)
        self._first_table = self._first_table or table
        begins = self._first_table is table
        if chunk.final:
            self._first_table = None
        if "r" not in self.settings.skipped:
            self._moment.set(self._clock())
            yield from of.chunk(chunk, begins=begins)

    def _commit(self, commit: Commit) -> Iterable[Record]:
        self._last_commit = commit.end_lsn
        return self._transactions.ended(commit.begin, commit.end_lsn)

    def _message(self, message: Message) -> Iterable[Record]:
        if not self._wants(message.prefix):
            return []
        self._moment.set(self._clock())
        begin, lsn = message.begin, b"%d" % message.lsn
        if begin is None:
            self._last_commit = message.lsn  # as Debezium has it: complete in itself
        us, xid = (begin.commit_us, begin.xid) if begin else (self._moment.us, None)
        commit_lsn = begin.commit_lsn if begin else message.lsn
        before, between = self._source.pieces(None, us, xid, self._last_commit)
        behind = self._source.behind(None, commit_lsn)
        ordinal = b"%d" % message.ordinal if self.settings.exact else b""
        source = b"%b%b%b%b%b%b}" % (before, lsn, between, lsn, behind, ordinal)
        prefix, content = quote_str(message.prefix), b64encode(message.content)
        value = b'{"op":"m",%b,%b,"transaction":%b,"message":{"prefix":%b,"content":"%b"}}' % (
            self._moment.times.partition(b",")[0],
            source,
            self._transactions.block(MESSAGES, begin, message.lsn) if begin else NULL,
            prefix,
            content,
        )
        key = b'{"prefix":%b}' % prefix
        position = f"- {commit_lsn} {message.ordinal}".encode()
        headers = NO_HEADERS if self.settings.exact else [(POSITION_HEADER, position)]
        record = Record(
            self.topics.message, key.join(self._message_key), value.join(self._message_value), headers
        )
        return (record,)

    def _wants(self, prefix: str) -> bool:
        if self.settings.message_prefix_include_list:
            return self._wanted_prefix.fullmatch(prefix) is not None
        return self._unwanted_prefix.fullmatch(prefix) is None

    def _table(self, table: Table, *, streamed: bool = True) -> TableEncoder:
        plan = Plan(table, self.settings, self.topics, streamed=streamed)
        shared = (self.settings, self._source, self._form, self._moment, self._transactions, self._context)
        of = TableEncoder(plan, *shared)
        (self._tables if streamed else self._read_tables)[table] = of
        return of

    def _schema(self, of: TableEncoder) -> list[Record]:
        """The record of a table's schema, unless it went before."""
        table = of.plan.published
        if table.fingerprint in self._announced:
            return []
        self._announced.add(table.fingerprint)
        return [schema_record(self.topics.schemas, table)]

    def _wrappers(self, key: bytes, value: bytes) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        if self.settings.schemas_enable:
            return wrapped(key), wrapped(value)
        return (b"", b""), (b"", b"")
