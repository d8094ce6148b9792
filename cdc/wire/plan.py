"""The plan of a table: all that is the same for each of its records, worked out once.

Names, schemas and the functions that write keys and rows. A plan belongs to one `Table` and to one way of reading it: what a
snapshot reads is written by a plan of its own, since Debezium's snapshot knows types that its stream does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cdc.errors import ConfigError
from cdc.events import UNSENT, Row
from cdc.format import FormatSettings
from cdc.schema import FULL, Column, Table
from cdc.wire.connect_schema import STRING, ConnectField, ConnectType, schema_json, wrapped
from cdc.wire.defaults import default_of
from cdc.wire.generate import Field
from cdc.wire.json_text import NULL
from cdc.wire.lane import Lane
from cdc.wire.lanes import NAME_OID, lane_of
from cdc.wire.masks import masked
from cdc.wire.names import Topics, field_name, matcher, schema_name
from cdc.wire.rows import RowWriter


class Plan:
    """What is known of a table's records before there is one."""

    def __init__(
        self, table: Table, settings: FormatSettings, topics: Topics, *, streamed: bool = True
    ) -> None:
        self.table = table
        self.topic = topics.of_table(table.schema, table.name)
        self.schema_name = schema_name(self.topic, settings.schema_name_adjustment_mode)
        self._settings = settings
        self._streamed = streamed
        self.published = published(table, self._value_columns())
        omit = settings.exact and not settings.schemas_enable
        key_columns = self._key_columns()
        self.value_fields, value_schema = self._fields(self._value_columns(), altered=True)
        key_fields, key_schema = self._fields(key_columns, altered=False)
        self.row_type = ConnectType("struct", f"{self.schema_name}.Value", fields=value_schema)
        self.key_type = ConnectType("struct", f"{self.schema_name}.Key", fields=key_schema)
        width = len(table.columns)
        self.rows = RowWriter(self.value_fields, width, omit=omit)
        identity = None if table.replica_identity == FULL else table.identity
        self.old_rows = RowWriter(self.value_fields, width, omit=omit, known=identity)
        self._outside = 0 if identity is None else width - len(identity)
        self.omits = omit
        self.has_key = bool(key_fields)
        self.key_needs_words = any(field.type.name.startswith("org.apache.") for field in key_schema)
        """Fields of the key that a header shows otherwise than as JSON."""
        self.key_indexes = tuple(field.index for field in key_fields)
        self.keys = RowWriter(key_fields, width, omit=False)
        key_json = schema_json(ConnectField(self.key_type))
        self.key_before, self.key_behind = wrapped(key_json) if settings.schemas_enable else (b"", b"")
        self.header_before, self.header_behind = (
            wrapped(key_json) if settings.header_converter == "json" else (b"", b"")
        )

    def is_whole(self, old: Row) -> bool:
        """Has an old row more than the identity? That of a partition may be FULL though its root's is not."""
        return old.count(UNSENT) != self._outside

    def before(self, old: Row) -> bytes:
        """A row as it was."""
        return (self.rows if self.is_whole(old) else self.old_rows).old(old)

    def key(self, row: Row) -> bytes | None:
        """The key's JSON, without a schema. Unknown cells of an old row count as NULL."""
        return self.keys.old(row) if self.has_key else None

    def framed(self, key: bytes | None) -> bytes | None:
        """The key with its schema, if schemas are embedded."""
        return key if key is None or not self.key_before else key.join((self.key_before, self.key_behind))

    def _key_columns(self) -> list[int]:
        """Those that `message_key_columns` names for the table, else the primary key, else an index that could be one."""
        table, found = self.table, []
        for entry in self._settings.message_key_columns:
            pattern, _, names = entry.partition(":")
            for name in names.split(","):
                of_column = matcher([f"{pattern.strip()}.{name.strip()}"])
                found += [
                    index
                    for index, column in enumerate(table.columns)
                    if of_column.fullmatch(f"{table.full_name}.{column.name}")
                ]
        if found:
            return found
        ours = table.key if self._settings.exact else table.primary_key
        return list(ours or table.unique_key)

    def _value_columns(self) -> list[int]:
        settings, name = self._settings, self.table.full_name
        include, exclude = matcher(settings.column_include_list), matcher(settings.column_exclude_list)
        chosen = []
        for index, column in enumerate(self.table.columns):
            full = f"{name}.{column.name}"
            if include.fullmatch(full) if settings.column_include_list else not exclude.fullmatch(full):
                chosen.append(index)
        return chosen

    def _fields(self, indexes: Sequence[int], *, altered: bool) -> tuple[list[Field], list[ConnectField]]:
        settings = self._settings
        fields: list[Field] = []
        schema: list[ConnectField] = []
        for index in indexes:
            column = self.table.columns[index]
            lane = self._lane(column)
            if lane is None:
                continue
            change = masked(self.table, column, lane, settings) if altered else None
            default = default_of(column, lane, settings)
            shown, constant = (change.lane, change.constant) if change else (lane, None)
            null = default if default is not None and settings.replace_null_with_default else NULL
            if not column.nullable and (not settings.exact or settings.schemas_enable):
                null = default if default is not None else lane.zero
            name = field_name(column.name, settings.field_name_adjustment_mode)
            if any(field.name == name for field in fields):
                raise ConfigError(
                    f"two columns of {self.table.full_name} are both named {name!r} on the topic",
                    why=f"field_name_adjustment_mode is {settings.field_name_adjustment_mode!r}",
                    hint="leave one of them out (column_exclude_list), or the names as they are",
                )
            if constant is not None:
                null = constant
            fields.append(Field(index, name, shown, null, column.nullable))
            schema.append(ConnectField(shown.schema, column.nullable, name, default))
        return fields, schema

    def _lane(self, column: Column) -> Lane | None:
        lane = lane_of(column, self._settings)
        if column.type_oid == NAME_OID and self._streamed and not self._settings.include_unknown_datatypes:
            # Debezium's stream does not read the type that its schema and its snapshot know
            return Lane(STRING, lambda _: NULL if column.nullable else b'""')
        return lane


def published(table: Table, indexes: Sequence[int]) -> Table:
    """The table as it is on the topics: with these columns alone. A key that loses one is none."""
    if len(indexes) == len(table.columns):
        return table
    moved = {old: new for new, old in enumerate(indexes)}

    def key(columns: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(moved[index] for index in columns) if moved.keys() >= set(columns) else ()

    return replace(
        table,
        columns=tuple(table.columns[index] for index in indexes),
        primary_key=key(table.primary_key),
        unique_key=key(table.unique_key),
        identity=tuple(moved[index] for index in table.identity if index in moved),
    )
