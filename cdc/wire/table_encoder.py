"""The records of one table: its rows, between the pieces that are the same for all of them.

`enter` works out the pieces of the source block once for a transaction. A row alone (an insert, an update without the old row, a
delete) is then one generated function, key and value in one; all others are put together from their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import msgspec

from cdc.events import DELETE, INSERT, READ, TRUNCATE, UNSENT, UPDATE, Begin, Change, Chunk, Row, Truncate
from cdc.format import FormatSettings
from cdc.lsn import Lsn
from cdc.wire.csv_rows import read_rows
from cdc.wire.forms import Form
from cdc.wire.generate import EXCEPTIONAL, Object, WriteRecord, record_function
from cdc.wire.headers import NEW_KEY, OLD_KEY, key_header
from cdc.wire.json_text import NULL
from cdc.wire.moment import Moment
from cdc.wire.plan import Plan
from cdc.wire.record import Headers, Record
from cdc.wire.source import POSITION_HEADER, UNSENT_HEADER, SourceWriter
from cdc.wire.transactions import Transactions

OPS = {op: op.encode() for op in (INSERT, UPDATE, DELETE)}


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
        self._form = form
        self._moment = moment
        self._transactions = transactions
        self._context = context
        self._gone, self._tombstone = form.deleted.record, form.deleted.tombstone
        self._topic = plan.topic
        self._ordinal: Callable[[int], bytes] = b"%d".__mod__ if settings.exact else lambda _: b""
        self._insert, self._remove = self._generated()

    def _generated(self) -> tuple[WriteRecord, WriteRecord]:
        """The functions for a row alone: one that is there from now on, and one that is gone."""
        plan, frame = self.plan, self._form.frame(self.plan)
        if frame is None or self._transactions.on or self._skipped & {INSERT, UPDATE, DELETE}:
            return _cannot, _cannot
        key = plan.keys.object if plan.has_key else None
        start, end = frame

        def function(row: Object, before: bytes, behind: bytes) -> WriteRecord:
            around = (b'%b{"before":%b' % (start, before), behind, end)
            keys = (plan.key_before, plan.key_behind)
            width = len(plan.table.columns)
            return record_function(row, key, width, frame=around, key_frame=keys)

        new, old = plan.rows.object, plan.old_rows.object
        return function(new, b'null,"after":', b""), function(old, b"", b',"after":null')

    def enter(self, begin: Begin, last_commit: Lsn | None) -> None:
        """From here on rows are of this transaction."""
        self.begin = begin
        pieces = self._source.pieces(self.plan.table, begin.commit_us, begin.xid, last_commit)
        self._at(pieces, begin.commit_lsn)

    def _at(self, pieces: tuple[bytes, bytes], commit_lsn: Lsn) -> None:
        self._before, self._between = pieces
        self._behind = self._source.behind(self.plan.published, commit_lsn)
        self._position = b"%b %d " % (self.plan.published.fingerprint.encode(), commit_lsn)

    def change(self, change: Change) -> Sequence[Record]:
        """An insert, an update or a delete."""
        new, old = change.new, change.old
        if old is None:
            if new is None:
                return ()
            ordinal, lsn = change.ordinal, b"%d" % change.lsn
            place = (self._behind, self._ordinal(ordinal), OPS[change.op], self._moment.times)
            try:
                key, value = self._insert(new, self._before, lsn, self._between, *place)
            except EXCEPTIONAL:
                return self._write(change, change.op, None, new, self._headers(ordinal))
            return (
                Record(self._topic, key, value, self._context if self._exact else self._headers(ordinal)),
            )
        if new is None:
            return self._delete(change, old)
        return self._update(change, old, new)

    def _update(self, change: Change, old: Row, new: Row) -> Sequence[Record]:
        plan = self.plan
        before = plan.before(old)
        if self._settings.skip_messages_without_change and before == plan.rows.new(new):
            return ()
        old_key, new_key = plan.key(old), plan.key(new)
        unknown = self._exact and any(old[index] is UNSENT for index in plan.key_indexes)
        headers = self._headers(change.ordinal)
        if old_key is None or new_key is None or old_key == new_key or unknown:
            return self._write(change, UPDATE, before, new, headers)
        moved = [(NEW_KEY, key_header(plan, new_key, self._settings)), *headers]
        came = [(OLD_KEY, key_header(plan, old_key, self._settings)), *headers]
        return [*self._delete(change, old, moved), *self._write(change, INSERT, None, new, came)]

    def _delete(self, change: Change, old: Row, headers: Headers | None = None) -> Sequence[Record]:
        if DELETE in self._skipped:
            return ()
        plan, topic = self.plan, self.plan.topic
        if headers is None:
            headers = self._headers(change.ordinal)
        lsn, ordinal = b"%d" % change.lsn, self._ordinal(change.ordinal)
        remove = _cannot if plan.is_whole(old) else self._remove
        try:
            key, value = remove(
                old, self._before, lsn, self._between, self._behind, ordinal, b"d", self._moment.times
            )
        except EXCEPTIONAL:
            key = plan.framed(plan.key(old))
            value = self._envelope(DELETE, plan.before(old), None, change, lsn, change.ordinal)
        tombstone = Record(topic, key, None, headers)
        if not self._gone:
            return (tombstone,) if self._tombstone else ()
        record = Record(topic, key, value, headers)
        return (record, tombstone) if self._tombstone else (record,)

    def _write(
        self, change: Change, op: str, before: bytes | None, new: Row, headers: Headers
    ) -> Sequence[Record]:
        if op in self._skipped:
            return ()
        plan, lsn, ordinal = self.plan, b"%d" % change.lsn, change.ordinal
        key, after = plan.framed(plan.key(new)), plan.rows.new(new)
        if plan.rows.unsent and not plan.omits:
            headers = [*headers, (UNSENT_HEADER, msgspec.json.encode(plan.rows.unsent))]
        plan.rows.unsent = []
        return (Record(plan.topic, key, self._envelope(op, before, after, change, lsn, ordinal), headers),)

    def truncate(self, event: Truncate) -> Sequence[Record]:
        """A record without key."""
        return () if TRUNCATE in self._skipped else self._emptied(event, event)

    def emptied(self, event: Truncate) -> Sequence[Record]:
        """The same where a copy begins, outside of the source's transactions and whatever is skipped."""
        return self._emptied(event, None)

    def _emptied(self, event: Truncate, counted: Truncate | None) -> Sequence[Record]:
        value = self._envelope(TRUNCATE, None, None, counted, b"%d" % event.lsn, event.ordinal)
        return (Record(self.plan.topic, None, value, self._headers(event.ordinal)),)

    def chunk(self, chunk: Chunk, *, begins: bool) -> Iterator[Record]:
        """Rows that a snapshot read. `begins`: they are of its first table."""
        plan, (commit_lsn, ordinal) = self.plan, chunk.position
        lsn, shown, inner = b"%d" % commit_lsn, None, _mark(chunk, begins, first=False, last=False)
        topic, times = plan.topic, self._moment.times
        for number, row in enumerate(read_rows(chunk.csv), start=1):
            mark = inner
            if number == 1 or number == chunk.rows:
                first, last = number == 1 and chunk.first, number == chunk.rows and chunk.last
                mark = _mark(chunk, begins, first=first, last=last)
            if mark is not shown:
                shown = mark
                self._at(self._source.pieces(plan.table, self._moment.us, None, None, mark), commit_lsn)
                around = self._between, self._behind, self._ordinal(ordinal), b"r", times
                headers = self._headers(ordinal)
            try:
                key, value = self._insert(row, self._before, lsn, *around)
            except EXCEPTIONAL:
                key = plan.framed(plan.key(row))
                value = self._envelope(READ, None, plan.rows.new(row), None, lsn, ordinal)
            yield Record(topic, key, value, headers)

    def _envelope(
        self,
        op: str,
        before: bytes | None,
        after: bytes | None,
        event: Change | Truncate | None,
        lsn: bytes,
        ordinal: int,
    ) -> bytes:
        end = self._ordinal(ordinal)
        source = b"%b%b%b%b%b%b}" % (self._before, lsn, self._between, lsn, self._behind, end)
        transaction = NULL
        if self._transactions.on and event is not None:
            transaction = self._transactions.block(event.table.full_name, event.begin, event.lsn)
        return self._form.value(self.plan, op, before, after, source, transaction, self._moment.times)

    def _headers(self, ordinal: int) -> Headers:
        if self._exact:
            return self._context
        return [*self._context, (POSITION_HEADER, b"%b%d" % (self._position, ordinal))]


def _cannot(*_: object) -> NoReturn:
    raise TypeError


def _mark(chunk: Chunk, begins: bool, *, first: bool, last: bool) -> bytes:
    """Debezium's markers of a snapshot's rows."""
    if last and chunk.final:
        return b"last"
    if first and begins:
        return b"first"
    if last:
        return b"last_in_data_collection"
    return b"first_in_data_collection" if first else b"true"
