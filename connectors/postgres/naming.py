"""Finds out what the target calls the types of a table's columns, and creates enums that it lacks if it may."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.errors import ValueRefused
from cdc.schema import Column, LogicalType, Table
from connectors.postgres.opening import Connection
from connectors.postgres.settings import Settings
from connectors.postgres.types import by_kind, is_known
from connectors.sql import comma, literal, qualified

RESOLVE = """
    select format_type(to_regtype(n)::oid, m) from unnest($1::text[], $2::int[]) with ordinality as t (n, m, o) order by o
"""
# An extension may have been created in another schema than in the source.
EXTENSION = """
    select format_type(t.oid, $2) from pg_catalog.pg_type t join pg_catalog.pg_depend d on d.objid = t.oid
    where t.typname = $1 and d.classid = 'pg_catalog.pg_type'::regclass and d.deptype = 'e'
"""
LABELS = "select enumlabel from pg_catalog.pg_enum where enumtypid = to_regtype($1) order by enumsortorder"


class Naming:
    """Remembers nothing between tables: types come and go in the target."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings

    def wanted(self, table: Table) -> list[str]:
        """The type of each column in the target."""
        found = self._resolved([(column.type_name or None, column.typmod) for column in table.columns])
        return [
            self._settings.columns.get(f"{table.configured_name}.{column.name}")
            or known
            or self._missing(table, column)
            for column, known in zip(table.columns, found, strict=True)
        ]

    def is_given(self, table: Table, column: Column) -> bool:
        """Whether the settings name its type."""
        return f"{table.configured_name}.{column.name}" in self._settings.columns

    def enums(self, table: Table) -> list[tuple[str, tuple[str, ...]]]:
        """Enums of the source that may have to be created or given labels: names and labels."""
        if self._settings.enums != "create":
            return []
        found = {}
        for column in table.columns:
            kept, name = column.type, column.type_name
            if kept.kind == "array" and kept.element is not None:
                kept, name = kept.element, name.removesuffix("[]")
            if kept.kind == "enum" and name and kept.labels:
                found[name] = kept.labels
        return list(found.items())

    def create_enum(self, name: str, labels: Sequence[str]) -> bool:
        """Create the type unless the target has one of that name; says whether it did. In the open transaction."""
        if self._resolved([(name, -1)])[0] is not None:
            return False
        parts = self._connection.execute("select parse_ident($1)", [name]).fetchone()
        assert parts is not None
        *schema, _ = parts[0]
        if schema:
            self._connection.execute(f"create schema if not exists {qualified(*schema)}".encode())
        values = comma(map(literal, labels))
        self._connection.execute(f"create type {qualified(*parts[0])} as enum ({values})".encode())
        return True

    def lacks_labels(self, name: str, labels: Sequence[str]) -> bool:
        """Whether the target has an enum of that name, without all of these labels."""
        present = {label for (label,) in self._connection.execute(LABELS, [name]).fetchall()}
        return bool(present) and not present.issuperset(labels)

    def add_labels(self, name: str, labels: Sequence[str]) -> None:
        """Give the target's type the labels that it lacks. Not in a transaction: a new label is usable after its commit."""
        present = [label for (label,) in self._connection.execute(LABELS, [name]).fetchall()]
        for before, label in zip(("", *labels), labels, strict=False):
            if label not in present:
                place = f"after {literal(before)}" if before else f"before {literal(present[0])}"
                # format_type gives the name as it must be written
                known = self._resolved([(name, -1)])[0]
                self._connection.execute(
                    f"alter type {known} add value if not exists {literal(label)} {place}".encode()
                )

    def _resolved(self, names: Sequence[tuple[str | None, int]]) -> list[str | None]:
        texts, modifiers = [name for name, _ in names], [modifier for _, modifier in names]
        rows = self._connection.execute(RESOLVE, [texts, modifiers]).fetchall()
        return [name for (name,) in rows]

    def _missing(self, table: Table, column: Column) -> str:
        """The type for one whose name the target does not know."""
        kept = column.type
        if kept.kind not in ("enum", "composite", "range", "multirange", "array", "unknown") and not is_known(
            kept
        ):
            found = self._connection.execute(EXTENSION, [kept.kind, column.typmod]).fetchone()
            if found is not None:
                return str(found[0])
        to_be_created = bool(self._settings.enums == "create" and _labels(kept))
        if is_known(kept) or self._settings.unknown_types == "text" or to_be_created:
            return by_kind(kept)
        raise ValueRefused(
            f"the target has no type {column.type_name or kept.kind}",
            rule="unknown_types",
            where=f"{table.full_name}.{column.name}",
            hint=f'{_creation(kept)}, or set unknown_types = "text" to keep PostgreSQL\'s text',
        )


def _labels(kept: LogicalType) -> tuple[str, ...]:
    return kept.element.labels if kept.element else kept.labels


def _creation(kept: LogicalType) -> str:
    if kept.kind == "enum":
        return 'create it there, or set enums = "create"'
    return "create the type or extension there"
