"""Table schemas as records of the compacted topic `<prefix>.cdc-schemas`: `Table` → JSON → an equal `Table`.

The key is the schema's id (`Table.fingerprint`), which the records of the table carry. Whoever reads the topic first
knows every type of what follows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cdc.schema import Column, LogicalType, Table
from cdc.wire.record import Record


def schema_record(topic: str, table: Table) -> Record:
    return Record(topic, table.fingerprint.encode(), encode_table(table))


def encode_table(table: Table) -> bytes:
    """All that a `Table` holds, as JSON."""
    return msgspec.json.encode(
        {
            "schema": table.schema,
            "name": table.name,
            "columns": [_column(column) for column in table.columns],
            "primary_key": table.primary_key,
            "replica_identity": table.replica_identity,
            "identity": table.identity,
            "oid": table.oid,
            "unique_key": table.unique_key,
            "catalog": table.catalog,
        }
    )


def _column(column: Column) -> dict[str, Any]:
    fields = {name: getattr(column, name) for name in Column.__slots__ if name not in ("type", "missing")}
    missing = None if column.missing is None else column.missing.decode()
    return {**fields, "type": _type(column.type), "missing": missing}


def _type(of: LogicalType) -> dict[str, Any]:
    """What says nothing is left out."""
    fields = {name: getattr(of, name) for name in LogicalType.__slots__ if name != "element"}
    told = {name: value for name, value in fields.items() if value not in (None, ())}
    return {**told, "element": _type(of.element)} if of.element else told


def decode_table(value: bytes) -> Table:
    """The inverse. Raises msgspec.ValidationError for what is not a table; fields that it does not know are left alone."""
    return msgspec.json.decode(value, type=_StoredTable).table()


class _StoredType(msgspec.Struct):
    kind: str
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    element: _StoredType | None = None
    labels: tuple[str, ...] = ()

    def logical(self) -> LogicalType:
        element = self.element.logical() if self.element else None
        return LogicalType(self.kind, self.precision, self.scale, self.length, element, self.labels)


class _StoredColumn(msgspec.Struct):
    name: str
    type: _StoredType
    type_oid: int = 0
    typmod: int = -1
    type_name: str = ""
    nullable: bool = True
    default: str | None = None
    attnum: int = 0
    missing: str | None = None

    def column(self) -> Column:
        missing = None if self.missing is None else self.missing.encode()
        told = (self.type_oid, self.typmod, self.type_name, self.nullable, self.default, self.attnum, missing)
        return Column(self.name, self.type.logical(), *told)


class _StoredTable(msgspec.Struct):
    schema: str
    name: str
    columns: tuple[_StoredColumn, ...]
    primary_key: tuple[int, ...] = ()
    replica_identity: str = "d"
    identity: tuple[int, ...] = ()
    oid: int = 0
    unique_key: tuple[int, ...] = ()
    catalog: tuple[int, ...] = ()

    def table(self) -> Table:
        columns = tuple(column.column() for column in self.columns)
        keys = (self.primary_key, self.replica_identity, self.identity, self.oid, self.unique_key)
        return Table(self.schema, self.name, columns, *keys, catalog=self.catalog)
