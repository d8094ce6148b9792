"""The flat form: the row alone, as Debezium's ExtractNewRecordState leaves it, with chosen fields of the envelope added.

A field `op`, `ts_ms` or `source.lsn` becomes `__op`, `__ts_ms`, `__source_lsn`. A delete is rewritten as its old row with
`__deleted` true, unless `flat_delete_tombstone_handling_mode` says otherwise.
"""

from __future__ import annotations

from cdc.events import DELETE
from cdc.format import FormatSettings
from cdc.wire.connect_schema import INT64, STRING, ConnectField, ConnectType, schema_json, wrapped
from cdc.wire.forms import Deleted
from cdc.wire.json_text import FALSE, NULL, TRUE, quote_str
from cdc.wire.plan import Plan
from cdc.wire.source import source_schema

HANDLING = {
    "drop": Deleted(record=False, tombstone=False),
    "tombstone": Deleted(record=False),
    "rewrite": Deleted(tombstone=False),
    "rewrite-with-tombstone": Deleted(),
    "delete-to-tombstone": Deleted(record=False),
}


class Flat:
    """Implements `cdc.wire.forms.Form`."""

    def __init__(self, settings: FormatSettings) -> None:
        self.deleted = HANDLING[settings.flat_delete_tombstone_handling_mode]
        self._settings = settings
        self._rewrites = self.deleted.record
        self._prefix = settings.flat_add_fields_prefix
        source = {field.field: field for field in source_schema(exact=settings.exact).type.fields}
        own = {"op": ConnectField(STRING, optional=True)}
        own |= {name: ConnectField(INT64, optional=True) for name in ("ts_ms", "ts_us", "ts_ns")}
        self._added = [
            (name, own.get(name) or source[name.removeprefix("source.")]) for name in settings.flat_add_fields
        ]
        self._wrappers: dict[Plan, tuple[bytes, bytes]] = {}

    def frame(self, plan: Plan) -> None:  # noqa: ARG002
        return None

    def value(
        self,
        plan: Plan,
        op: str,
        before: bytes | None,
        after: bytes | None,
        source: bytes,
        transaction: bytes,  # noqa: ARG002
        times: bytes,
    ) -> bytes:
        row = (before if op == DELETE else after) or b"{}"
        parts = [row[1:-1]] if len(row) > 2 else []
        if self._rewrites:
            parts.append(b'%b:"%b"' % (quote_str(f"{self._prefix}deleted"), TRUE if op == DELETE else FALSE))
        for name, _ in self._added:
            parts.append(b"%b:%b" % (quote_str(self._named(name)), self._find(name, op, source, times)))
        inner = b"{%b}" % b",".join(parts)
        return inner.join(self._wrapper(plan)) if self._settings.schemas_enable else inner

    def _named(self, name: str) -> str:
        return self._prefix + name.replace(".", "_")

    def _find(self, name: str, op: str, source: bytes, times: bytes) -> bytes:
        """The JSON of an envelope's field, cut out of the text that was made of it."""
        if name == "op":
            return quote_str(op)
        text = times if name.startswith("ts_") else source
        _, found, rest = text.partition(b'"%b":' % name.removeprefix("source.").encode())
        if not found:
            return NULL
        if rest[:1] != b'"':
            return rest.partition(b",")[0].rstrip(b"}")
        at = 1
        while rest[at : at + 1] != b'"':
            at += 2 if rest[at : at + 1] == b"\\" else 1
        return rest[: at + 1]

    def _wrapper(self, plan: Plan) -> tuple[bytes, bytes]:
        found = self._wrappers.get(plan)
        if found is None:
            deleted = (
                [ConnectField(STRING, optional=True, field=f"{self._prefix}deleted")]
                if self._rewrites
                else []
            )
            added = [ConnectField(kind.type, True, self._named(name)) for name, kind in self._added]
            row = ConnectType("struct", plan.row_type.name, fields=[*plan.row_type.fields, *deleted, *added])
            found = self._wrappers[plan] = wrapped(schema_json(ConnectField(row)))
        return found
