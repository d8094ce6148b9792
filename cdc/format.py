"""`[format]`: what is on the topics. Debezium's option names, with `_` for `.`; only the defaults are ours.

`compat = "debezium"` sets all of Debezium's own defaults, and copies its habits where a value has no faithful form. Without it
nothing is lost: decimals and times are text, and what Debezium leaves out, rounds or replaces is written as PostgreSQL's text.
What a file does not say is filled in when the settings are made, so whoever reads them finds a value.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from cdc.settings import Settings
from cdc.type_names import column_of

DEBEZIUM = "debezium"

# What `compat` decides: Debezium's default, and ours.
DEFAULTS: dict[str, tuple[Any, Any]] = {
    "decimal_handling_mode": ("precise", "string"),
    "time_precision_mode": ("adaptive", "isostring"),
    "interval_handling_mode": ("numeric", "string"),
    "binary_handling_mode": ("bytes", "bytes"),
    "hstore_handling_mode": ("json", "json"),
    "include_unknown_datatypes": (False, True),
    "skipped_operations": (["t"], []),
}
Names = dict[str, list[str]]


class GivenSchema(Settings, kw_only=True, frozen=True):
    """`[format.schemas."schema.table"]`: what a table of Debezium's topics is like, where its records do not say it."""

    columns: dict[str, str]
    """Types by column, as in SQL."""
    primary_key: list[str] = []
    """Empty: the columns of the records' keys."""

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns: there are none")
        for name, of in self.columns.items():
            try:
                column_of(name, of)
            except ValueError as error:
                raise ValueError(f"columns: {name}: {error}") from error
        for name in self.primary_key:
            if name not in self.columns:
                raise ValueError(f"primary_key: there is no column {name!r} under columns")


class FormatSettings(Settings, kw_only=True, frozen=True):
    """The names are Debezium's, and so are the meanings; lists of names are regular expressions, as there."""

    compat: Literal["", "debezium"] = ""
    decimal_handling_mode: Literal["precise", "string", "double"] | None = None
    decimal_format: Literal["base64", "numeric"] = "base64"
    """JsonConverter's `decimal.format`, of `precise` decimals: `numeric` writes numbers."""
    money_fraction_digits: Annotated[int, Meta(ge=0, le=15)] = 2
    """Of `precise` money: with less than 2 it is rounded."""
    time_precision_mode: (
        Literal[
            "adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"
        ]
        | None
    ) = None
    interval_handling_mode: Literal["numeric", "string"] | None = None
    binary_handling_mode: Literal["bytes", "base64", "base64-url-safe", "hex"] | None = None
    hstore_handling_mode: Literal["json", "map"] | None = None
    include_unknown_datatypes: bool | None = None
    unavailable_value_placeholder: str = "__debezium_unavailable_value"
    """Stands for a value that PostgreSQL did not send, under `compat` or with embedded schemas; else the field is left out."""
    tombstones_on_delete: bool = True
    skipped_operations: list[str] | None = None
    """Letters of operations: c, u, d, t; `none` for none."""
    skip_messages_without_change: bool = False
    provide_transaction_metadata: bool = False
    heartbeat_interval_ms: int = 0
    """Milliseconds between records of the heartbeat topic; 0: none."""
    topic_heartbeat_prefix: str = "__debezium-heartbeat"
    topic_delimiter: str = "."
    topic_transaction: str = "transaction"
    schema_name_adjustment_mode: Literal["none", "avro", "avro_unicode"] = "none"
    field_name_adjustment_mode: Literal["none", "avro", "avro_unicode"] = "none"
    message_key_columns: list[str] = []
    """`TABLE:COLUMN,COLUMN` each, where TABLE is a regular expression of `schema.table`."""
    message_prefix_include_list: list[str] = []
    message_prefix_exclude_list: list[str] = []
    column_include_list: list[str] = []
    """Regular expressions of `schema.table.column`."""
    column_exclude_list: list[str] = []
    column_propagate_source_type: list[str] = []
    """Regular expressions of `schema.table.column`: whose schemas tell the source's type, length and scale."""
    datatype_propagate_source_type: list[str] = []
    """The same by type: `schema.table.type`."""
    column_truncate_to_chars: Names = {}
    """{ "20" = ["public.person.name"] }"""
    column_mask_with_chars: Names = {}
    """{ "5" = ["public.person.phone"] }"""
    column_mask_hash_v2: Names = {}
    """{ "SHA-256.with.salt.SALT" = ["public.person.email"] }"""
    column_mask_hash: Names = {}
    """The same in Debezium's first version, which hashes Java's serialisation of the text."""
    extended_headers_enabled: bool = False
    """The `__debezium.context.*` headers on each record: Debezium's default is true, but they cost time on every record."""
    schemas_enable: bool = False
    """Embed the Connect schema in each key and value, as JsonConverter does."""
    replace_null_with_default: bool | None = None
    """Write a column's default in place of NULL, as JsonConverter does by default."""
    header_converter: Literal["simple", "json"] = "simple"
    event_form: Literal["debezium", "flat", "cloudevents"] = "debezium"
    """`flat`: the row alone, as by ExtractNewRecordState; `cloudevents`: as by CloudEventsConverter."""
    flat_add_fields: list[str] = msgspec.field(default_factory=lambda: ["op", "source.ts_ms"])
    """Of the flat form: `op`, `ts_ms`, `source.lsn`, `transaction.id` …, added as `__op`, `__ts_ms`, `__source_lsn`; `op:what` as
    `__what`."""
    flat_add_fields_prefix: str = "__"
    flat_delete_tombstone_handling_mode: Literal[
        "drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"
    ] = "rewrite-with-tombstone"
    schemas: dict[str, GivenSchema] = {}
    """Of tables (schema.table) whose records Debezium writes without a schema, for appliers."""

    def __post_init__(self) -> None:
        debezium = self.compat == DEBEZIUM
        for name, (theirs, ours) in DEFAULTS.items():
            if getattr(self, name) is None:
                msgspec.structs.force_setattr(self, name, theirs if debezium else ours)
        if self.replace_null_with_default is None:
            msgspec.structs.force_setattr(self, "replace_null_with_default", debezium)
        for name in self.skipped:
            if name not in ("c", "u", "d", "t", "r"):
                raise ValueError(f"skipped_operations knows c, u, d and t, not {name!r}")
        for entry in self.message_key_columns:
            if not all(part.strip() for part in entry.partition(":")[::2]):
                raise ValueError(f"message_key_columns: {entry!r} is not TABLE:COLUMN,COLUMN")
        for names in (self.column_truncate_to_chars, self.column_mask_with_chars):
            if not all(name.isdecimal() for name in names):
                raise ValueError("column_truncate_to_chars and column_mask_with_chars are keyed by a number")
        if self.schemas and not debezium:
            raise ValueError('schemas are for topics that Debezium writes, which compat = "debezium" says')
        for name in self.schemas:
            if not all(name.partition(".")[::2]):
                raise ValueError(f"schemas: {name!r} is not schema.table")

    @property
    def skipped(self) -> frozenset[str]:
        """Letters of the operations that give no records."""
        flat = {"t"} if self.event_form == "flat" else set()
        return frozenset(self.skipped_operations or ()) - {"none"} | flat

    @property
    def exact(self) -> bool:
        """Is everything written so that the very text can be read back?"""
        return self.compat != DEBEZIUM
