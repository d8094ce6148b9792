"""The way over from Debezium: a connector's properties → an equivalent config.toml, and what has no counterpart in it.

Properties fall into three kinds: those that become a key of ours, those that `[format]` has under the same name, and those
that are about the machinery of Connect and mean nothing here. Whatever is none of them is named, so that nothing is lost unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from cdc.debezium_machinery import MACHINERY
from cdc.debezium_text import globs_of, quoted, split
from cdc.format import FormatSettings

Properties = Mapping[str, str]


class Translation(msgspec.Struct):
    """`config` is what config.toml says; `unmatched` has properties without a counterpart, each with the reason."""

    config: dict[str, Any]
    unmatched: dict[str, str]


SNAPSHOT_MODES = {
    "initial": "initial",
    "no_data": "no_data",
    "never": "no_data",
    "always": None,
    "when_needed": None,
}
FLAT = "io.debezium.transforms.ExtractNewRecordState"
CONVERTERS = {
    "org.apache.kafka.connect.json.JsonConverter": "json",
    "org.apache.kafka.connect.storage.SimpleHeaderConverter": "simple",
    "io.debezium.converters.CloudEventsConverter": "cloudevents",
}
LISTS = {
    *("skipped_operations", "column_include_list", "column_exclude_list"),
    *("message_prefix_include_list", "message_prefix_exclude_list"),
    *("column_propagate_source_type", "datatype_propagate_source_type"),
}


def translate(connector: Properties, worker: Properties | None = None) -> Translation:
    """The settings that give the same records. Debezium's defaults come by `compat = "debezium"`."""
    return _Translator(connector, worker or {}).translation


class _Translator:
    def __init__(self, connector: Properties, worker: Properties) -> None:
        self._left = dict(connector)
        self._worker = worker
        self.source: dict[str, Any] = {"dsn": "", "publication": "dbz_publication", "slot": "debezium"}
        self.format: dict[str, Any] = {"compat": "debezium", "extended_headers_enabled": True}
        self.transport: dict[str, Any] = {"kind": "kafka"}
        self.snapshot: dict[str, Any] = {}
        self.unmatched: dict[str, str] = {}
        self._translate()
        tables = {
            "source": self.source,
            "snapshot": self.snapshot,
            "transport": self.transport,
            "format": self.format,
        }
        config = {name: table for name, table in tables.items() if table}
        self.translation = Translation(config, self.unmatched)

    def _take(self, name: str, default: str = "") -> str:
        return self._left.pop(name, default).strip()

    def _translate(self) -> None:
        self._connection()
        for name, key in (("slot.name", "slot"), ("publication.name", "publication")):
            if value := self._take(name):
                self.source[key] = value
        plugin = self._take("plugin.name", "decoderbufs")
        if plugin != "pgoutput":
            self.unmatched["plugin.name"] = f"{plugin!r}: there are pgoutput, which is taken, and wal2json"
        self._tables()
        mode = self._take("snapshot.mode", "initial")
        self.snapshot["mode"] = SNAPSHOT_MODES.get(mode) or "initial"
        if SNAPSHOT_MODES.get(mode) is None:
            self.unmatched["snapshot.mode"] = f"{mode!r}: initial is taken"
        self._converters()
        self._transforms()
        if prefix := self._take("topic.prefix"):
            self.transport["topic_prefix"] = prefix
        if servers := self._worker.get("bootstrap.servers"):
            self.transport["bootstrap_servers"] = servers
        else:
            self.transport["bootstrap_servers"] = "localhost:9092"
        for name in list(self._left):
            self._format_option(name)

    def _connection(self) -> None:
        host, port = self._take("database.hostname"), self._take("database.port", "5432")
        user, password = self._take("database.user"), self._take("database.password")
        name, mode = self._take("database.dbname"), self._take("database.sslmode")
        parts = {"host": host, "port": port if host else "", "dbname": name, "user": user, "sslmode": mode}
        for theirs, ours in (("sslcert", "sslcert"), ("sslkey", "sslkey"), ("sslrootcert", "sslrootcert")):
            parts[ours] = self._take(f"database.{theirs}")
        self.source["dsn"] = " ".join(f"{key}={quoted(value)}" for key, value in parts.items() if value)
        if password:
            self.unmatched["database.password"] = "not copied: put it into PGPASSWORD or ~/.pgpass"

    def _tables(self) -> None:
        """Regular expressions to globs, as far as one says what the other does."""
        schemas = self._take("schema.include.list")
        for name, key in (("table.include.list", "tables"), ("table.exclude.list", "exclude_tables")):
            if patterns := self._take(name):
                self.source[key] = self._globs(name, patterns, "")
        if "tables" not in self.source:
            self.source["tables"] = self._globs("schema.include.list", schemas, ".*") if schemas else ["*.*"]
        if excluded := self._take("schema.exclude.list"):
            found = self.source.setdefault("exclude_tables", [])
            found += self._globs("schema.exclude.list", excluded, ".*")

    def _globs(self, name: str, patterns: str, suffix: str) -> list[str]:
        globs = []
        for pattern in split(patterns):
            found = globs_of(pattern)
            if found is None:
                self.unmatched[name] = (
                    f"{pattern!r} has no glob that says the same: name the tables in [source]"
                )
            else:
                globs += [glob + suffix for glob in found]
        return globs

    def _converters(self) -> None:
        """The connector's own, else the worker's, else JsonConverter with schemas, which is Connect's default."""
        for side in ("key", "value", "header"):
            given = self._take(f"{side}.converter") or self._worker.get(f"{side}.converter", "")
            known = CONVERTERS.get(given) if given else ("simple" if side == "header" else "json")
            if known is None:
                self.unmatched[f"{side}.converter"] = f"{given!r}: records are JSON"
            elif side == "header":
                self.format["header_converter"] = known
            elif known == "cloudevents":
                self.format["event_form"] = known
                self._cloudevents()
        enable = [self._of_converter(side, "schemas.enable", "true") for side in ("key", "value")]
        self.format["schemas_enable"] = enable[1] == "true"
        if enable[0] != enable[1]:
            self.unmatched["key.converter.schemas.enable"] = "one setting is for both: the value's is taken"
        self.format["replace_null_with_default"] = (
            self._of_converter("value", "replace.null.with.default", "true") == "true"
        )
        self._of_converter("key", "replace.null.with.default", "true")
        decimals = [self._of_converter(side, "decimal.format", "base64") for side in ("key", "value")]
        self.format["decimal_format"] = decimals[1]
        if decimals[0] != decimals[1]:
            self.unmatched["key.converter.decimal.format"] = "one setting is for both: the value's is taken"

    def _cloudevents(self) -> None:
        """What CloudEventsConverter calls JsonConverter's settings; of its forms JSON in JSON is ours."""
        for name in ("serializer.type", "data.serializer.type"):
            if (given := self._take(f"value.converter.{name}", "json")) != "json":
                self.unmatched[f"value.converter.{name}"] = f"{given!r}: records are JSON"
        if enable := self._take("value.converter.json.schemas.enable"):
            self._left["value.converter.schemas.enable"] = enable

    def _of_converter(self, side: str, option: str, default: str) -> str:
        name = f"{side}.converter.{option}"
        return (self._take(name) or self._worker.get(name, default)).lower()

    def _transforms(self) -> None:
        for name in split(self._take("transforms")):
            kind = self._take(f"transforms.{name}.type")
            if kind != FLAT:
                self.unmatched[f"transforms.{name}.type"] = f"{kind!r} has no counterpart"
                continue
            self.format["event_form"] = "flat"
            self.format["flat_add_fields"] = split(self._take(f"transforms.{name}.add.fields"))
            self.format["flat_delete_tombstone_handling_mode"] = self._take(
                f"transforms.{name}.delete.tombstone.handling.mode", "tombstone"
            )
            self.format["flat_add_fields_prefix"] = self._take(f"transforms.{name}.add.fields.prefix", "__")

    def _format_option(self, name: str) -> None:
        """What is left is an option of [format] under the same name, machinery, or nothing that there is."""
        value = self._left[name].strip()
        if self._column_rule(name, value) or name in MACHINERY:
            return
        key = name.replace(".", "_").replace("-", "_")
        kind = get_type_hints(FormatSettings).get(key)
        if kind is None:
            self.unmatched[name] = "there is no counterpart"
        elif key == "message_key_columns":
            self.format[key] = [part.strip() for part in value.split(";") if part.strip()]
        elif key in LISTS:
            self.format[key] = split(value)
        elif bool in (kind, *get_args(kind)):
            self.format[key] = value.lower() == "true"
        else:
            self.format[key] = int(value) if kind is int or key == "money_fraction_digits" else value

    def _column_rule(self, name: str, value: str) -> bool:
        for pattern, key in COLUMN_RULES:
            match = re.fullmatch(pattern, name)
            if match:
                self.format.setdefault(key, {})[match[1]] = split(value)
                return True
        return False


COLUMN_RULES = (
    (r"column\.truncate\.to\.(\d+)\.chars", "column_truncate_to_chars"),
    (r"column\.mask\.with\.(\d+)\.chars", "column_mask_with_chars"),
    (r"column\.mask\.hash\.v2\.(.+\.with\.salt\..+)", "column_mask_hash_v2"),
    (r"column\.mask\.hash\.(?!v2\.)(.+\.with\.salt\..+)", "column_mask_hash"),
)
