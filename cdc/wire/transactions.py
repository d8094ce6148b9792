"""Transaction metadata: each event's place in its transaction, and a record at its begin and end.

Debezium's id of a transaction ends with the LSN of the event at hand, so only the part before the colon is the same in all.
"""

from __future__ import annotations

from cdc.events import Begin
from cdc.lsn import Lsn
from cdc.wire.connect_schema import wrapped
from cdc.wire.envelope import transaction_schemas
from cdc.wire.json_text import NULL, quote_str
from cdc.wire.pgtext import java_map_order
from cdc.wire.record import Record


class Transactions:
    """Counts the events of the transaction at hand. Nothing is done unless it is `on`."""

    def __init__(self, topic: str, *, on: bool, schemas: bool) -> None:
        self.on = on
        self._topic = topic
        key, value = transaction_schemas()
        self._key = wrapped(key) if schemas else (b"", b"")
        self._value = wrapped(value) if schemas else (b"", b"")
        self._begin: Begin | None = None
        self._total = 0
        self._per_table: dict[str, int] = {}

    def begun(self, begin: Begin) -> list[Record]:
        """The record of a transaction's begin."""
        if not self.on:
            return []
        self._begin, self._total, self._per_table = begin, 0, {}
        return [self._record(b"BEGIN", begin, begin.commit_lsn, NULL, NULL)]

    def block(self, table: str, begin: Begin, lsn: Lsn) -> bytes:
        """The block of one data event, which it counts."""
        if not self.on:
            return NULL
        self._total += 1
        order = self._per_table[table] = self._per_table.get(table, 0) + 1
        fields = (begin.xid, lsn, self._total, order)
        return b'{"id":"%d:%d","total_order":%d,"data_collection_order":%d}' % fields

    def ended(self, begin: Begin, lsn: Lsn) -> list[Record]:
        """The record of its end, if its begin had one."""
        if self._begin is not begin:
            return []
        self._begin = None
        collections = [
            b'{"data_collection":%b,"event_count":%d}' % (quote_str(table), count)
            for table, count in self._in_java_order()
        ]
        return [self._record(b"END", begin, lsn, b"%d" % self._total, b"[%b]" % b",".join(collections))]

    def _in_java_order(self) -> list[tuple[str, int]]:
        names = java_map_order((table.encode(), None) for table in self._per_table)
        return [(name.decode(), self._per_table[name.decode()]) for name, _ in names]

    def _record(self, status: bytes, begin: Begin, lsn: Lsn, count: bytes, collections: bytes) -> Record:
        name = b"%d:%d" % (begin.xid, lsn)
        fields = (status, name, count, collections, begin.commit_us // 1000)
        value = b'{"status":"%b","id":"%b","event_count":%b,"data_collections":%b,"ts_ms":%d}' % fields
        key = b'{"id":"%b"}' % name
        return Record(self._topic, key.join(self._key), value.join(self._value))
