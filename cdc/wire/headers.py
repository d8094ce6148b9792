"""Headers: Debezium's context, the keys of a row that changed its key, and what `compat` has no field for."""

from __future__ import annotations

import msgspec

from cdc.format import FormatSettings
from cdc.wire.json_text import quote_str
from cdc.wire.plan import Plan
from cdc.wire.record import Headers

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
    if b"\\" not in key:
        return key
    return _simple(msgspec.json.decode(key)).encode()


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
