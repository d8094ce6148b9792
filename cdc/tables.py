"""Tables: how the shape of one is put together, and the states that a captured table goes through.

A `Table` has two sources. The stream's Relation message is exact for its place in the stream, but names only columns,
types and the replica identity. The catalog knows the primary key, NOT NULL and defaults, but as of now: it may be
ahead of the stream by any amount of DDL. So the columns and the identity are always the stream's; from the catalog
comes what it says of columns that are still the same, and a primary key where the stream does not contradict it. A
snapshot, which has no Relation message, makes one from the catalog, so that both build equal tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from cdc.pgtypes import TypeFact, logical_type
from cdc.schema import DEFAULT, FULL, INDEX, Column, Table
from cdc.source.messages import RelationColumn, RelationMessage


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column as the catalog has it now. The fields are those of `cdc.schema.Column`, and
    `generated`: pg_attribute.attgenerated ('' not at all, 's' stored, 'v' virtual).
    """

    name: str
    attnum: int
    type_oid: int
    typmod: int = -1
    type_name: str = ""
    nullable: bool = True
    default: str | None = None
    generated: str = ""
    missing: bytes | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table as the catalog has it now.

    `columns` are the live ones in the order of attnum. `primary_key` names columns in the order of the constraint,
    `identity_index` those of the index chosen by REPLICA IDENTITY USING INDEX, and `unique_key` those of an index that
    could be chosen (unique, all NOT NULL, not partial, not deferrable) where there is no primary key. `dropped` are the
    attribute numbers of columns that are there no more.
    """

    oid: int
    schema: str
    name: str
    relkind: str = "r"
    replica_identity: str = DEFAULT
    primary_key: tuple[str, ...] = ()
    identity_index: tuple[str, ...] = ()
    unique_key: tuple[str, ...] = ()
    columns: tuple[ColumnFacts, ...] = ()
    dropped: tuple[int, ...] = ()

    @property
    def identity(self) -> frozenset[str]:
        """The columns of the replica identity."""
        if self.replica_identity == FULL:
            return frozenset(column.name for column in self.columns)
        chosen = {DEFAULT: self.primary_key, INDEX: self.identity_index}
        return frozenset(chosen.get(self.replica_identity, ()))


def build_table(
    relation: RelationMessage, facts: TableFacts | None = None, types: Mapping[int, TypeFact] = {}
) -> Table:
    """The shape of a relation at its place in the stream. `facts` may be ahead of it, or None (the table is gone)."""
    now = {column.name: column for column in facts.columns} if facts else {}
    columns = tuple(
        _column(column, now.get(column.name), number, types)
        for column, number in zip(relation.columns, _numbers(relation, facts), strict=True)
    )
    flagged = tuple(i for i, column in enumerate(relation.columns) if column.key)
    return Table(
        schema=relation.schema,
        name=relation.name,
        columns=columns,
        primary_key=_primary_key(relation, flagged, facts),
        replica_identity=relation.replica_identity,
        identity=flagged,
        oid=relation.oid,
        unique_key=_unique_key(relation, facts),
        catalog=(*(column.attnum for column in facts.columns), *(-n for n in facts.dropped)) if facts else (),
    )


def _numbers(relation: RelationMessage, facts: TableFacts | None) -> list[int]:
    """The columns' attribute numbers; 0 where the catalog, which may be ahead, leaves them in doubt.

    A number is never given twice, and the stream has columns in the order of their numbers. So those between two that are known
    by name and type are known where there are as many numbers between the two, also of columns that have other names by now.
    """
    now = {(c.name, c.type_oid, c.typmod): c.attnum for c in facts.columns} if facts else {}
    named = [now.get((c.name, c.type_oid, c.typmod), 0) for c in relation.columns]
    if facts is None or facts.oid != relation.oid:
        return named
    names = {column.name for column in relation.columns}
    live = [column.attnum for column in facts.columns if not column.generated or column.name in names]
    every = sorted((*live, *facts.dropped))
    if len(every) == len(named):
        return every
    known = [number for number in named if number]
    if known != sorted(known):  # names have moved to other columns
        return named
    ends = [-1, *(place for place, number in enumerate(named) if number), len(named)]
    for before, behind in pairwise(ends):
        low = named[before] if before >= 0 else 0
        high = named[behind] if behind < len(named) else every[-1] + 1
        between = [number for number in every if low < number < high]
        if len(between) == behind - before - 1:
            named[before + 1 : behind] = between
    return named


def _column(
    column: RelationColumn, now: ColumnFacts | None, number: int, types: Mapping[int, TypeFact]
) -> Column:
    logical = logical_type(column.type_oid, column.typmod, types)
    if now is None or (now.type_oid, now.typmod) != (column.type_oid, column.typmod):
        return Column(column.name, logical, column.type_oid, column.typmod, attnum=number)
    return Column(
        column.name,
        logical,
        column.type_oid,
        column.typmod,
        type_name=now.type_name,
        nullable=now.nullable,
        default=None if now.generated else now.default,
        attnum=number,
        missing=now.missing,
    )


def _primary_key(
    relation: RelationMessage, flagged: tuple[int, ...], facts: TableFacts | None
) -> tuple[int, ...]:
    """The primary key as indexes into the relation's columns.

    Under DEFAULT the flagged columns are the primary key, whatever the catalog says by now; it only tells their order.
    Under the other identities the stream is silent, and the catalog is believed if the relation has all its columns.
    """
    position = {column.name: i for i, column in enumerate(relation.columns)}
    constraint = tuple(position.get(name, -1) for name in facts.primary_key) if facts else ()
    if relation.replica_identity == DEFAULT:
        return constraint if set(constraint) == set(flagged) else flagged
    return () if -1 in constraint else constraint


def _unique_key(relation: RelationMessage, facts: TableFacts | None) -> tuple[int, ...]:
    """An index that could be the primary key of a table without one, if the relation has all its columns."""
    position = {column.name: i for i, column in enumerate(relation.columns)}
    names = facts.unique_key if facts and not facts.primary_key else ()
    found = tuple(position.get(name, -1) for name in names)
    return () if -1 in found else found


def relation_from_facts(
    facts: TableFacts, *, generated: Collection[str] = (), columns: Collection[str] | None = None
) -> RelationMessage:
    """The Relation message that pgoutput would send for the table as the catalog has it.

    `generated` names the kinds of generated columns that are published ('s' with PostgreSQL 18's
    publish_generated_columns), `columns` the publication's column list, if it has one.
    """
    identity = facts.identity
    published = tuple(
        RelationColumn(column.name, column.type_oid, column.typmod, key=column.name in identity)
        for column in facts.columns
        if (column.name in columns if columns is not None else column.generated in ("", *generated))
    )
    return RelationMessage(facts.oid, facts.schema, facts.name, facts.replica_identity, published)


TableState: TypeAlias = Literal["new", "copying", "catching_up", "live", "parked"]
TableEvent: TypeAlias = Literal[
    "copy_skipped", "copy_started", "copy_finished", "caught_up", "refused", "resync"
]

# A table can be refused at any time, and a person may have it copied again at any time.
_ALWAYS: dict[TableEvent, TableState] = {"refused": "parked", "resync": "new"}

TRANSITIONS: dict[TableState, dict[TableEvent, TableState]] = {
    # Captured, and nothing done yet. Given at start to every table without progress; lives in memory.
    "new": {**_ALWAYS, "copy_started": "copying", "copy_skipped": "live"},
    # The snapshot reads it. Set by the snapshot; survives a restart as progress, from which the copy resumes.
    "copying": {**_ALWAYS, "copy_started": "copying", "copy_finished": "catching_up"},
    # Copied, and changes made meanwhile are on their way. Set with the last chunk; after a restart: live.
    "catching_up": {**_ALWAYS, "copy_started": "copying", "caught_up": "live"},
    # As of every commit that is applied. Survives a restart.
    "live": {**_ALWAYS, "copy_started": "copying", "caught_up": "live"},
    # Set aside, because going on would lose or alter something. Survives a restart; only a person ends it.
    "parked": {**_ALWAYS, "copy_started": "copying"},
}


def advance(state: str, event: str) -> TableState:
    """The state after the event. Raises ValueError for an event that the state does not know."""
    after: Mapping[str, TableState] = TRANSITIONS.get(state, {})  # type: ignore[call-overload]
    if event not in after:
        known = ", ".join(after) or "nothing"
        raise ValueError(f"a table that is {state!r} cannot meet {event!r}; it knows {known}")
    return after[event]
