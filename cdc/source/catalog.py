"""Reads PostgreSQL's catalog: which tables are captured, what they look like, how large they are.

The stream names a relation's columns and little else. What it does not say (primary key, NOT NULL, defaults,
what types are made of) is read here, once per Relation message. A snapshot asks for the same table by name
and gets an equal `Table`: both go through `build_table`, and lose the same columns, those that are not
published or not wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import msgspec

from cdc.config import SourceSettings
from cdc.errors import ConfigError, SourceError
from cdc.pgtypes import TypeFact, needed_types
from cdc.schema import Table
from cdc.source.catalog_sql import BY_NAME, BY_OID, CANDIDATES, COLUMNS, ESTIMATE, PUBLISHED, RELATION, TYPES
from cdc.source.connect import Connection
from cdc.source.failures import place
from cdc.source.messages import RelationMessage, TypeMessage
from cdc.source.publication import TableName
from cdc.tables import ColumnFacts, TableFacts, build_table, relation_from_facts

PARTITIONED, FOREIGN = "p", "f"  # pg_class.relkind
UNLOGGED = "u"  # pg_class.relpersistence


class Candidate(msgspec.Struct, frozen=True):
    """A table that the globs name."""

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str

    @property
    def reason_not(self) -> str:
        """Why its changes cannot be captured; empty if they can."""
        if self.kind == FOREIGN:
            return "it is a foreign table: its rows are on another server"
        if self.persistence == UNLOGGED:
            return "it is unlogged: its changes are not in the WAL"
        return ""

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class Estimate(msgspec.Struct, frozen=True):
    """`rows`: the planner's guess, None if nothing was analyzed yet. `bytes`: on disk, without indexes."""

    rows: int | None
    bytes: int


def is_captured(settings: SourceSettings, schema: str, name: str) -> bool:
    """Do the globs of `tables`, less those of `exclude_tables`, name it?"""
    full_name = f"{schema}.{name}"
    return _matches(full_name, settings.tables) and not _matches(full_name, settings.exclude_tables)


class Catalog:
    """The catalog as one connection sees it. `publication` is empty with a plugin that needs none."""

    def __init__(
        self, connection: Connection, *, exclude_columns: Sequence[str] = (), publication: str = ""
    ) -> None:
        self._connection = connection
        self._exclude_columns = exclude_columns
        self._publication = publication

    def candidates(self, settings: SourceSettings) -> list[Candidate]:
        """Tables that the globs name, in their order, then by name; also those that cannot be captured. A partition goes with
        its root."""
        rows = self._connection.execute(CANDIDATES).fetchall()
        found = (Candidate(*row) for row in rows)
        wanted = [each for each in found if is_captured(settings, each.schema, each.name)]
        return sorted(wanted, key=lambda each: _place(f"{each.schema}.{each.name}", settings.tables))

    def captured(self, settings: SourceSettings) -> list[TableName]:
        """Tables that the globs name and whose changes can be captured, in order."""
        return [each.table for each in self.candidates(settings) if not each.reason_not]

    def table(self, schema: str, name: str) -> Table:
        """The table as a Relation message would describe it now. Raises SourceError if there is none."""
        facts = self.facts(TableName(schema, name))
        if facts is None:
            raise SourceError(f"there is no table {schema}.{name}", where=place(self._connection))
        return self._build(self._published(facts), facts)

    def describe(self, relation: RelationMessage, named: Mapping[int, TypeMessage] = {}) -> Table:  # noqa: ARG002
        """The table of a Relation message, completed by what the catalog still knows of it."""
        facts = self.facts(relation.oid) or self.facts(TableName(relation.schema, relation.name))
        if facts is not None:
            published = {column.name for column in self._published(facts).columns}
            computed = {column.name for column in facts.columns if column.generated} - published
            relation = _without(relation, computed)
        return self._build(relation, facts)

    def facts(self, table: int | TableName) -> TableFacts | None:
        """What the catalog says of a table, by OID or name; None if there is no such table."""
        where, wanted = (BY_OID, (table,)) if isinstance(table, int) else (BY_NAME, table)
        row = self._connection.execute(RELATION + where, wanted).fetchone()
        if row is None:
            return None
        oid, schema, name, relkind, replica_identity, primary_key, identity_index, unique_key, dropped = row
        columns = self._connection.execute(COLUMNS, [oid]).fetchall()
        return TableFacts(
            oid=oid,
            schema=schema,
            name=name,
            relkind=relkind,
            replica_identity=replica_identity,
            primary_key=tuple(primary_key),
            identity_index=tuple(identity_index),
            unique_key=tuple(unique_key),
            columns=tuple(ColumnFacts(*column) for column in columns),
            dropped=tuple(dropped),
        )

    def types(self, oids: Iterable[int]) -> dict[int, TypeFact]:
        """Facts of those types that are not built in, and of what they are made of."""
        wanted = list(oids)
        facts: dict[int, TypeFact] = {}
        while missing := needed_types(wanted, facts):
            rows = self._connection.execute(TYPES, [list(missing)]).fetchall()
            for oid, schema, name, typtype, base_oid, base_typmod, element_oid, labels in rows:
                parts = (base_oid, base_typmod, element_oid)
                facts[oid] = TypeFact(oid, schema, name, typtype, *parts, labels=tuple(labels))
            # a type that was dropped meanwhile: nobody knows it any more
            facts |= {oid: TypeFact(oid, "", "") for oid in missing if oid not in facts}
        return facts

    def estimate(self, table: TableName) -> Estimate:
        """How large it is, partitions included."""
        row = self._connection.execute(ESTIMATE, [table.quoted]).fetchone()
        return Estimate(*row) if row else Estimate(None, 0)

    def _published(self, facts: TableFacts) -> RelationMessage:
        """The Relation message that the plugin would send now."""
        columns: list[str] | None = None
        kinds: tuple[str, ...] = ()
        if self._publication and self._connection.info.server_version >= 150000:
            found = self._connection.execute(
                PUBLISHED, [self._publication, facts.schema, facts.name]
            ).fetchone()
            names, everything, generated = found or (None, True, "n")
            kinds = ("s",) if generated == "s" else ()
            columns = None if everything else names
        return relation_from_facts(facts, generated=kinds, columns=columns)

    def _build(self, relation: RelationMessage, facts: TableFacts | None) -> Table:
        full_name = f"{relation.schema}.{relation.name}"
        unwanted = [
            column.name
            for column in relation.columns
            if _matches(f"{full_name}.{column.name}", self._exclude_columns)
        ]
        types = self.types(column.type_oid for column in relation.columns)
        table = build_table(relation, facts, types)
        return without_columns(table, unwanted) if unwanted else table


def without_columns(table: Table, names: Collection[str]) -> Table:
    """The table less some columns. Raises ConfigError for one that rows are told apart by."""
    keys = {table.columns[index].name for index in table.key}
    if lost := sorted(keys & set(names)):
        raise ConfigError(
            f"[source] exclude_columns names {', '.join(lost)} of {table.full_name}",
            why="it is part of the key",
            hint="a table is captured with its key columns, or not at all (exclude_tables)",
        )
    kept = [index for index, column in enumerate(table.columns) if column.name not in names]
    moved = {old: new for new, old in enumerate(kept)}
    return replace(
        table,
        columns=tuple(table.columns[index] for index in kept),
        # a key of another kind than the one that rows are merged by may lose columns: then it is none
        primary_key=tuple(moved[index] for index in table.primary_key)
        if moved.keys() >= set(table.primary_key)
        else (),
        identity=tuple(moved[index] for index in table.identity if index in moved),
        unique_key=tuple(moved[index] for index in table.unique_key)
        if moved.keys() >= set(table.unique_key)
        else (),
    )


def _without(relation: RelationMessage, names: Collection[str]) -> RelationMessage:
    columns = tuple(column for column in relation.columns if column.name not in names)
    return msgspec.structs.replace(relation, columns=columns)


def _place(name: str, globs: Sequence[str]) -> int:
    """Of the first glob that names it."""
    return next(number for number, glob in enumerate(globs) if fnmatchcase(name, glob))


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
