"""The wire: events as records of Kafka topics, equal to Debezium's, and records as events again. No Kafka in here.

`Encoder` writes, `Decoder` reads; `Record` is what goes over. The names and the order of things are those of the Debezium
connector for PostgreSQL 3.6; docs/events.md says where ours differ, and why.

Each name is imported when it is first asked for: a line without a log needs none of them, and starts sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdc.wire.decoder import Decoder, SchemaUnknown
    from cdc.wire.encoder import Encoder
    from cdc.wire.record import Headers, Record
    from cdc.wire.schemas import decode_table, encode_table

__all__ = ["Decoder", "Encoder", "Headers", "Record", "SchemaUnknown", "decode_table", "encode_table"]


def __getattr__(name: str) -> object:
    if name in ("Decoder", "SchemaUnknown"):
        from cdc.wire.decoder import Decoder, SchemaUnknown

        return {"Decoder": Decoder, "SchemaUnknown": SchemaUnknown}[name]
    if name == "Encoder":
        from cdc.wire.encoder import Encoder

        return Encoder
    if name in ("Headers", "Record"):
        from cdc.wire.record import Headers, Record

        return {"Headers": Headers, "Record": Record}[name]
    if name in ("decode_table", "encode_table"):
        from cdc.wire.schemas import decode_table, encode_table

        return {"decode_table": decode_table, "encode_table": encode_table}[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
