"""The wire: events as records of Kafka topics, equal to Debezium's, and records as events again. No Kafka in here.

`Encoder` writes, `Decoder` reads; `Record` is what goes over. The names and the order of things are those of the Debezium
connector for PostgreSQL 3.6; docs/events.md says where ours differ, and why.

Each name is imported when it is first asked for: a line without a log needs none of them, and starts sooner.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdc.wire.decoder import Decoder, SchemaUnknown
    from cdc.wire.encoder import Encoder
    from cdc.wire.record import Headers, Record
    from cdc.wire.schemas import decode_table, encode_table

__all__ = ["Decoder", "Encoder", "Headers", "Record", "SchemaUnknown", "decode_table", "encode_table"]


_HOMES = {
    "Decoder": "decoder",
    "Encoder": "encoder",
    "Headers": "record",
    "Record": "record",
    "SchemaUnknown": "decoder",
    "decode_table": "schemas",
    "encode_table": "schemas",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
