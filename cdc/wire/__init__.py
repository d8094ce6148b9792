"""The wire: events as records of Kafka topics, equal to Debezium's, and records as events again. No Kafka in here.

`Encoder` writes, `Decoder` reads; `Record` is what goes over. The names and the order of things are those of the Debezium
connector for PostgreSQL 3.6; docs/events.md says where ours differ, and why.
"""

from __future__ import annotations

from cdc.wire.decoder import Decoder, SchemaUnknown
from cdc.wire.encoder import Encoder
from cdc.wire.record import Headers, Record
from cdc.wire.schemas import decode_table, encode_table

__all__ = ["Decoder", "Encoder", "Headers", "Record", "SchemaUnknown", "decode_table", "encode_table"]
