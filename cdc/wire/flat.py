"""The flat form: the row alone, as Debezium's ExtractNewRecordState leaves it, with chosen fields of the envelope added.

A field `op`, `ts_ms` or `source.lsn` becomes `__op`, `__ts_ms`, `__source_lsn`; `lsn` alone `__lsn`, and `lsn:at` has the name
`__at`. A delete is rewritten as its old row with `__deleted` true, unless `flat_delete_tombstone_handling_mode` says
otherwise. A truncate gives nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from cdc.errors import ConfigError
from cdc.events import DELETE
from cdc.format import FormatSettings
from cdc.wire.connect_schema import INT64, STRING, ConnectField, ConnectType, schema_json, wrapped
from cdc.wire.envelope import TRANSACTION
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
        transaction = {f"transaction.{field.field}": field for field in TRANSACTION.type.fields}
        known = {
            **source,
            **{f"source.{name}": field for name, field in source.items()},
            **transaction,
            **own,
        }
        self._added = [_added(each, known, self._prefix) for each in settings.flat_add_fields]
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
        transaction: bytes,
        times: bytes,
    ) -> bytes:
        row = (before if op == DELETE else after) or b"{}"
        parts = [row[1:-1]] if len(row) > 2 else []
        if self._rewrites:
            parts.append(b'%b:"%b"' % (quote_str(f"{self._prefix}deleted"), TRUE if op == DELETE else FALSE))
        for name, title, _ in self._added:
            text = (
                times
                if name.startswith("ts_")
                else transaction
                if name.startswith("transaction.")
                else source
            )
            parts.append(b"%b:%b" % (quote_str(title), quote_str(op) if name == "op" else _find(name, text)))
        inner = b"{%b}" % b",".join(parts)
        return inner.join(self._wrapper(plan)) if self._settings.schemas_enable else inner

    def _wrapper(self, plan: Plan) -> tuple[bytes, bytes]:
        found = self._wrappers.get(plan)
        if found is None:
            deleted = (
                [ConnectField(STRING, optional=True, field=f"{self._prefix}deleted")]
                if self._rewrites
                else []
            )
            added = [ConnectField(kind.type, True, title) for _, title, kind in self._added]
            row = ConnectType("struct", plan.row_type.name, fields=[*plan.row_type.fields, *deleted, *added])
            found = self._wrappers[plan] = wrapped(schema_json(ConnectField(row)))
        return found


def _added(given: str, known: Mapping[str, ConnectField], prefix: str) -> tuple[str, str, ConnectField]:
    """An added field: its place in the envelope, its name and its type."""
    name, _, alias = given.partition(":")
    if name not in known:
        raise ConfigError(
            f"there is no field {name!r} to add",
            where="[format] flat_add_fields",
            hint=f"known: {', '.join(known)}",
        )
    return name, prefix + (alias or name.replace(".", "_")), known[name]


def _find(name: str, text: bytes) -> bytes:
    """The JSON of an envelope's field, cut out of the text that was made of it."""
    _, found, rest = text.partition(b'"%b":' % name.rpartition(".")[2].encode())
    if not found:
        return NULL
    if rest[:1] != b'"':
        return rest.partition(b",")[0].rstrip(b"}")
    at = 1
    while rest[at : at + 1] != b'"':
        at += 2 if rest[at : at + 1] == b"\\" else 1
    return rest[: at + 1]
