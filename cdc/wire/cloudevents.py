"""CloudEvents: the envelope's facts as attributes of an event, the rows as its data (structured mode, JSON)."""

from __future__ import annotations

import re

from cdc.format import FormatSettings
from cdc.wire.connect_schema import ConnectField, schema_json, struct, wrapped
from cdc.wire.forms import Deleted
from cdc.wire.json_text import NULL, quote_str
from cdc.wire.plan import Plan
from cdc.wire.times import iso_timestamp, timestamp_text

_FIELD = re.compile(rb'"(\w+)":("(?:[^"\\]|\\.)*"|null|-?\d+)')
ATTRIBUTES = (
    "version",
    "connector",
    "name",
    "ts_ms",
    "snapshot",
    "db",
    "sequence",
    "ts_us",
    "ts_ns",
    "schema",
    "table",
)
POSITIONS = ("txId", "lsn", "xmin", "origin", "origin_lsn", "schema_id", "commit_lsn", "ordinal")


class CloudEvents:
    """Implements `cdc.wire.forms.Form`."""

    def __init__(self, settings: FormatSettings) -> None:
        self.deleted = Deleted(tombstone=settings.tombstones_on_delete)
        self._settings = settings
        self._data: dict[Plan, tuple[bytes, bytes]] = {}

    def frame(self, plan: Plan) -> None:  # noqa: ARG002
        return None

    def value(
        self,
        plan: Plan,
        op: str,
        before: bytes | None,
        after: bytes | None,
        source: bytes,
        transaction: bytes,
        times: bytes,  # noqa: ARG002
    ) -> bytes:
        facts = dict(_FIELD.findall(source.partition(b"{")[2]))
        name, sequence = facts[b"name"][1:-1], facts[b"sequence"][1:-1]
        ident = b"name:%b;lsn:%b;txId:%b;sequence:%b" % (name, facts[b"lsn"], facts[b"txId"], sequence)
        data = b'{"before":%b,"after":%b}' % (before or NULL, after or NULL)
        attributes = [
            b'"id":"%b"' % ident,
            b'"source":"/debezium/postgresql/%b"' % name,
            b'"specversion":"1.0"',
            b'"type":"io.debezium.connector.postgresql.DataChangeEvent"',
            b'"time":"%bZ"' % iso_timestamp(timestamp_text(int(facts[b"ts_us"]) // 1000 * 1000)),
            b'"datacontenttype":"application/json"',
            b'"iodebeziumop":%b' % quote_str(op),
        ]
        attributes += [
            b'"iodebezium%b":%b' % (key.replace(b"_", b""), _as_text(facts[key]))
            for key in (each.encode() for each in (*ATTRIBUTES, *POSITIONS))
            if key in facts
        ]
        attributes += [b'"iodebeziumtx%b":%b' % (key, found) for key, found in _transaction(transaction)]
        if self._settings.schemas_enable:
            data = data.join(self._wrapper(plan))
        return b'{%b,"data":%b}' % (b",".join(attributes), data)

    def _wrapper(self, plan: Plan) -> tuple[bytes, bytes]:
        found = self._data.get(plan)
        if found is None:
            before = ConnectField(plan.row_type, optional=True, field="before")
            after = ConnectField(plan.row_type, optional=True, field="after")
            name = "io.debezium.connector.postgresql.Data"
            found = self._data[plan] = wrapped(schema_json(ConnectField(struct(name, before, after))))
        return found


def _transaction(block: bytes) -> list[tuple[bytes, bytes]]:
    facts = dict(_FIELD.findall(block))
    keys = (
        (b"id", b"id"),
        (b"totalorder", b"total_order"),
        (b"datacollectionorder", b"data_collection_order"),
    )
    return [(ours, _as_text(facts.get(theirs, NULL))) for ours, theirs in keys]


def _as_text(fact: bytes) -> bytes:
    """Attributes are strings; Debezium's are null where there is nothing."""
    return fact if fact == NULL or fact[:1] == b'"' else b'"%b"' % fact
