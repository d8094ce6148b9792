"""Headers: Debezium's context, the keys of a row that changed its key, and what `compat` has no field for."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from cdc.format import FormatSettings
from cdc.wire.connect_schema import DECIMAL, ConnectType
from cdc.wire.json_text import quote_str
from cdc.wire.numbers import decimal_text
from cdc.wire.plan import Plan
from cdc.wire.record import Headers
from cdc.wire.times import iso_timestamp, timestamp_text

NEW_KEY, OLD_KEY = "__debezium.newkey", "__debezium.oldkey"
CONTEXT = "__debezium.context."


def context_headers(settings: FormatSettings, prefix: str, run_id: str) -> Headers:
    """What is on every data record and tombstone, if asked for."""
    if not settings.extended_headers_enabled:
        return []
    facts = {"connectorLogicalName": prefix, "taskId": "0", "connectorName": "postgresql", "runId": run_id}
    return [(CONTEXT + name, _text(value, settings)) for name, value in facts.items()]


def _text(value: str, settings: FormatSettings) -> bytes:
    if settings.header_converter == "json":
        return b'{"schema":{"type":"string","optional":false},"payload":%b}' % quote_str(value)
    return value.encode()


def key_header(plan: Plan, key: bytes, settings: FormatSettings) -> bytes:
    """A key as a header's text. SimpleHeaderConverter escapes quotes and backslashes, and nothing else."""
    if settings.header_converter == "json":
        return key.join((plan.header_before, plan.header_behind))
    if b"\\" not in key and not plan.key_needs_words:
        return key
    fields = msgspec.json.decode(key, type=dict[str, msgspec.Raw])
    types = {field.field: field.type for field in plan.key_type.fields}
    parts = [f'"{name}":{_logical(bytes(raw), types[name])}' for name, raw in fields.items()]
    return f"{{{','.join(parts)}}}".encode()


def _logical(text: bytes, kind: ConnectType) -> str:
    """A field as Connect's own conversion to text has it: logical types by their Java object."""
    if text == b"null":
        return "null"
    if kind.name == DECIMAL:
        plain = decimal_text(text[1:-1], int(kind.parameters["scale"])) if text[:1] == b'"' else text
        return str(Decimal(plain.decode()))
    if kind.name.startswith("org.apache.kafka.connect.data."):
        return _java_date(int(text) * (86_400_000 if kind.name.endswith(".Date") else 1))
    if kind.type in ("float", "double"):
        return text.decode().strip('"')
    return _simple(msgspec.json.decode(text))


def _java_date(millis: int) -> str:
    moment = iso_timestamp(timestamp_text(millis * 1000)).decode()
    day, _, time = moment.partition("T")
    whole, _, fraction = time.partition(".")
    time = f"{whole}.{fraction.ljust(3, '0')}Z"
    if millis < 86_400_000:
        return time
    return day if millis % 86_400_000 == 0 else f"{day}T{time}"


def _simple(value: object) -> str:
    if isinstance(value, dict):
        fields = ",".join(f'"{name}":{_simple(each)}' for name, each in value.items())
        return f"{{{fields}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_simple, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return msgspec.json.encode(value).decode()
