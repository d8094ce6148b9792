"""The envelope: Debezium's frame of before, after, source and op, as JSON and as a Connect schema."""

from __future__ import annotations

from cdc.wire.connect_schema import (
    BYTES,
    INT64,
    STRING,
    ConnectField,
    ConnectType,
    schema_json,
    struct,
)

KEY_NAMES = "io.debezium.connector.common."
POSTGRES = "io.debezium.connector.postgresql."

TRANSACTION = ConnectField(
    struct(
        "event.block",
        ConnectField(STRING, field="id"),
        ConnectField(INT64, field="total_order"),
        ConnectField(INT64, field="data_collection_order"),
        version=1,
    ),
    optional=True,
    field="transaction",
)
TIMES = [ConnectField(INT64, optional=True, field=name) for name in ("ts_ms", "ts_us", "ts_ns")]


def envelope_schema(name: str, row: ConnectType, source: ConnectField) -> bytes:
    """The JSON of a data record's schema."""
    return schema_json(
        ConnectField(
            struct(
                name,
                ConnectField(row, optional=True, field="before"),
                ConnectField(row, optional=True, field="after"),
                source,
                TRANSACTION,
                ConnectField(STRING, field="op"),
                *TIMES,
                version=2,
            )
        )
    )


def message_schemas(source: ConnectField) -> tuple[bytes, bytes]:
    """Key and value of the message topic."""
    content = struct(
        POSTGRES + "Message",
        ConnectField(STRING, optional=True, field="prefix"),
        ConnectField(BYTES, optional=True, field="content"),
        version=1,
    )
    value = struct(
        POSTGRES + "MessageValue",
        ConnectField(STRING, field="op"),
        TIMES[0],
        source,
        TRANSACTION,
        ConnectField(content, field="message"),
        version=1,
    )
    key = struct(POSTGRES + "MessageKey", ConnectField(STRING, optional=True, field="prefix"), version=1)
    return schema_json(ConnectField(key)), schema_json(ConnectField(value))


def transaction_schemas() -> tuple[bytes, bytes]:
    """Key and value of the transaction topic."""
    collection = struct(
        "event.collection",
        ConnectField(STRING, field="data_collection"),
        ConnectField(INT64, field="event_count"),
        version=1,
    )
    collections = ConnectType("array", element=ConnectField(collection, optional=True))
    value = struct(
        KEY_NAMES + "TransactionMetadataValue",
        ConnectField(STRING, field="status"),
        ConnectField(STRING, field="id"),
        ConnectField(INT64, optional=True, field="event_count"),
        ConnectField(collections, optional=True, field="data_collections"),
        ConnectField(INT64, field="ts_ms"),
        version=1,
    )
    key = struct(KEY_NAMES + "TransactionMetadataKey", ConnectField(STRING, field="id"), version=1)
    return schema_json(ConnectField(key)), schema_json(ConnectField(value))


def heartbeat_schemas() -> tuple[bytes, bytes]:
    """Key and value of the heartbeat topic."""
    key = struct(KEY_NAMES + "ServerNameKey", ConnectField(STRING, field="serverName"), version=1)
    value = struct(KEY_NAMES + "Heartbeat", ConnectField(INT64, field="ts_ms"), version=1)
    return schema_json(ConnectField(key)), schema_json(ConnectField(value))
