"""The records of one table: its rows between the pieces that are the same for all of them.

`enter` works out the source block once for a transaction; a row then is two generated functions (key and row) and one format.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cdc.events import DELETE, INSERT, READ, TRUNCATE, UNSENT, UPDATE, Begin, Change, Chunk, Row, Truncate
from cdc.format import FormatSettings
from cdc.lsn import Lsn
from cdc.wire.csv_rows import read_rows
from cdc.wire.forms import Form
from cdc.wire.headers import NEW_KEY, OLD_KEY, key_header
from cdc.wire.json_text import NULL
from cdc.wire.plan import Plan
from cdc.wire.record import Headers, Record
from cdc.wire.source import POSITION_HEADER, UNSENT_HEADER, SourceWriter
from cdc.wire.transactions import Transactions


class Moment:
    """Now, as the three fields that end an envelope. Shared by all tables, and renewed by the encoder."""

    def __init__(self) -> None:
        self.times = b""
        self.us = 0

    def set(self, ns: int) -> None:
        text = b"%d" % ns
        self.times = b'"ts_ms":%b,"ts_us":%b,"ts_ns":%b' % (text[:-6] or b"0", text[:-3] or b"0", text)
        self.us = ns // 1000


class TableEncoder:
    """Made once per `Plan`. Call `enter` when the transaction changes."""

    def __init__(
        self,
        plan: Plan,
        settings: FormatSettings,
        source: SourceWriter,
        form: Form,
        moment: Moment,
        transactions: Transactions,
        context: Headers,
    ) -> None:
        self.plan = plan
        self.begin: Begin | None = None
        self._settings = settings
        self._skipped = settings.skipped
        self._exact = settings.exact
        self._source = source
        self._value = form.value
        self._moment = moment
        self._transactions = transactions
        self._context = context
        self._bare = settings.exact and not context
        self._deleted = form.deleted
        self._position = ""

    def enter(self, begin: Begin, last_commit: Lsn | None) -> None:
        """From here on rows are of this transaction."""
        self.begin = begin
        table = self.plan.table
        before, between = self._source.pieces(table, begin.commit_us, begin.xid, last_commit)
        self._pieces(before, between, begin.commit_lsn)

    def _pieces(self, before: bytes, between: bytes, commit_lsn: Lsn) -> None:
        self._before, self._between = before, between
        self._behind = self._source.behind(self.plan.table, commit_lsn)
        self._position = f"{self.plan.table.fingerprint} {commit_lsn} "

    def change(self, change: Change) -> list[Record]:
        """An insert, an update or a delete."""
        op, new, old = change.op, change.new, change.old
        if op is INSERT or op == INSERT:
            return self._write(change, INSERT, None, new) if new is not None else []
        if op == DELETE:
            return self._delete(change, old) if old is not None else []
        if new is None:
            return []
        if old is None:
            return self._write(change, UPDATE, None, new)
        return self._update(change, old, new)

    def _update(self, change: Change, old: Row, new: Row) -> list[Record]:
        plan = self.plan
        before = self._old(old)
        if self._settings.skip_messages_without_change and before == plan.rows.new(new):
            return []
        old_key, new_key = plan.key(old), plan.key(new)
        unknown = self._exact and any(old[index] is UNSENT for index in plan.key_indexes)
        if old_key is None or new_key is None or old_key == new_key or unknown:
            return self._write(change, UPDATE, before, new)
        moved = [(NEW_KEY, key_header(plan, new_key, self._settings))]
        came = [(OLD_KEY, key_header(plan, old_key, self._settings))]
        return [*self._delete(change, old, moved), *self._write(change, INSERT, None, new, came)]

    def _old(self, old: Row) -> bytes:
        """Columns outside of the replica identity are there only if the whole row is."""
        return self.plan.old_rows.old(old)

    def _delete(self, change: Change, old: Row, headers: Headers | None = None) -> list[Record]:
        if DELETE in self._skipped:
            return []
        key = self._key(self.plan.key(old))
        headers = self._headers(headers, change.ordinal)
        records = []
        if self._deleted.record:
            value = self._envelope(DELETE, self._old(old), None, change, change.lsn, change.ordinal)
            records.append(Record(self.plan.topic, key, value, headers))
        if self._deleted.tombstone:
            records.append(Record(self.plan.topic, key, None, headers))
        return records

    def _write(
        self, change: Change, op: str, before: bytes | None, new: Row, headers: Headers | None = None
    ) -> list[Record]:
        if op in self._skipped:
            return []
        plan = self.plan
        key = plan.key(new)
        after = plan.rows.new(new)
        headers = self._context if self._bare and headers is None else self._headers(headers, change.ordinal)
        if plan.rows.unsent:
            if not plan.omits:
                headers = [*headers, (UNSENT_HEADER, msgspec.json.encode(plan.rows.unsent))]
            plan.rows.unsent = []
        value = self._envelope(op, before, after, change, change.lsn, change.ordinal)
        return [Record(plan.topic, self._key(key), value, headers)]

    def truncate(self, event: Truncate) -> list[Record]:
        """A record without key."""
        if TRUNCATE in self._skipped:
            return []
        value = self._envelope(TRUNCATE, None, None, event, event.lsn, event.ordinal)
        return [Record(self.plan.topic, None, value, self._headers(None, event.ordinal))]

    def chunk(self, chunk: Chunk, *, begins: bool) -> Iterator[Record]:
        """Rows that a snapshot read. `begins`: they are of its first table."""
        commit_lsn, ordinal = chunk.position
        headers = self._headers(None, ordinal)
        for number, row in enumerate(read_rows(chunk.csv), start=1):
            mark = _mark(chunk, begins, first=number == 1 and chunk.first, last=number == chunk.rows and chunk.last)
            if number == 1 or mark != b"true" or last_mark != b"true":
                pieces = self._source.pieces(self.plan.table, self._moment.us, None, None, mark)
                self._pieces(*pieces, commit_lsn)
                headers = self._headers(None, ordinal)
            last_mark = mark
            key = self._key(self.plan.key(row))
            value = self._envelope(READ, None, self.plan.rows.new(row), None, commit_lsn, ordinal)
            yield Record(self.plan.topic, key, value, headers)

    def _key(self, key: bytes | None) -> bytes | None:
        return b"%b%b%b" % (self.plan.key_before, key, self.plan.key_behind) if key is not None else None

    def _envelope(
        self,
        op: str,
        before: bytes | None,
        after: bytes | None,
        event: Change | Truncate | None,
        lsn: Lsn,
        ordinal: int,
    ) -> bytes:
        text = b"%d" % lsn
        if self._exact:
            source = b"%b%b%b%b%b%d}" % (self._before, text, self._between, text, self._behind, ordinal)
        else:
            source = b"%b%b%b%b%b}" % (self._before, text, self._between, text, self._behind)
        transaction = NULL
        if self._transactions.on and event is not None:
            transaction = self._transactions.block(event.table.full_name, event.begin, lsn)
        return self._value(self.plan, op, before, after, source, transaction, self._moment.times)

    def _headers(self, first: Headers | None, ordinal: int) -> Headers:
        ours = [] if self._exact else [(POSITION_HEADER, f"{self._position}{ordinal}".encode())]
        return [*(first or ()), *self._context, *ours]


def _mark(chunk: Chunk, begins: bool, *, first: bool, last: bool) -> bytes:
    """Debezium's markers of a snapshot's rows."""
    if last and chunk.final:
        return b"last"
    if first and begins:
        return b"first"
    if last:
        return b"last_in_data_collection"
    return b"first_in_data_collection" if first else b"true"
