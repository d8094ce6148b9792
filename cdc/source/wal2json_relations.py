"""Relation messages for wal2json, which has none: made from what records say of columns, and kept per table.

A record names each column with its type and attribute number, the columns of the primary key, and, for an update or
delete, those of the replica identity. As long as that agrees with the relation at hand, nothing is made; when it does
not, the relation is made anew. The catalog is asked then for what records do not say: which columns are generated
(pgoutput does not send those), and which columns there are besides those that an update or delete shows. It may be
ahead of the stream, so where the two differ the record is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import NamedTuple, TypeAlias

import msgspec

from cdc.pgtypes import logical_type
from cdc.schema import DEFAULT, FULL, INDEX
from cdc.source.messages import RelationColumn, RelationMessage
from cdc.source.typmod import parse_typmod
from cdc.tables import TableFacts

FactsOf: TypeAlias = Callable[[str, str], TableFacts | None]
"""The catalog's facts of a table, by schema and name; None: it is gone."""

FIRST_MADE_UP_OID = 0xFFFF_FFFF  # for tables that are gone, counted down: where no server gets to

OID = 0xFFFFFFFF  # what is left of a number that was printed with a sign

# Types without TOAST: an update never leaves such a column out because it is unchanged.
FIXED_LENGTH = {
    *("bool", "int2", "int4", "int8", "oid", "xid8", "float4", "float8", "money", "uuid", "pg_lsn"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "macaddr", "macaddr8"),
    *("point", "line", "lseg", "box", "circle"),
}


class Cell(msgspec.Struct):
    """A column of a row as wal2json prints it. `position` is its attnum; in old rows and keys it is left out."""

    name: str
    typeoid: int  # as a signed number
    type: str
    position: int = 0
    value: msgspec.Raw = msgspec.Raw(b"null")


class Record(msgspec.Struct):
    """One message of wal2json. Which fields it has depends on `action`: B C I U D T M."""

    action: str
    xid: int | None = None
    timestamp: str | None = None
    lsn: str = ""
    nextlsn: str = ""
    schema: str = ""
    table: str = ""
    columns: list[Cell] = []
    identity: list[Cell] = []
    pk: list[Cell] = []
    transactional: bool = True
    prefix: str = ""
    content: msgspec.Raw = msgspec.Raw(b'""')


class Place(NamedTuple):
    """A column of a relation; `at` is where it stands in rows, -1 if it is generated and does not."""

    name: str
    at: int
    typeoid: int
    type: str
    typmod: int
    position: int

    def is_of(self, cell: Cell) -> bool:
        same = self.typeoid == cell.typeoid & OID and self.type == cell.type
        return same and cell.position in (self.position, 0)

    @property
    def fixed_length(self) -> bool:
        return logical_type(self.typeoid).kind in FIXED_LENGTH


class Known(NamedTuple):
    """A relation at hand, and what it was made from."""

    relation: RelationMessage
    places: dict[str, Place]
    fixed_length: tuple[int, ...]
    primary_key: list[str]
    identity: list[str]
    layouts: dict[tuple[object, ...], list[int]]

    def agrees(self, record: Record) -> bool:
        """Whether its keys are those of the record."""
        if record.identity and [cell.name for cell in record.identity] != self.identity:
            return False
        return record.action == "T" or [cell.name for cell in record.pk] == self.primary_key

    def layout(self, shown: Sequence[Cell]) -> list[int] | None:
        """For each cell of a row that is shown, where it stands; None: they are not this relation's."""
        described = tuple([(cell.name, cell.typeoid, cell.type, cell.position) for cell in shown])
        layout = self.layouts.get(described)
        if layout is None:
            places = [self.places.get(cell.name) for cell in shown]
            known = [
                place.at for place, cell in zip(places, shown, strict=True) if place and place.is_of(cell)
            ]
            if len(known) != len(shown):
                return None
            layout = self.layouts[described] = known
        return layout


class Relations:
    """The relations at hand, by schema and table."""

    def __init__(self, facts_of: FactsOf) -> None:
        self._facts_of = facts_of
        self._known: dict[tuple[str, str], Known] = {}
        self._made_up = count(FIRST_MADE_UP_OID, -1)

    def get(self, record: Record) -> Known | None:
        """The record's relation, if there is one and its keys agree."""
        known = self._known.get((record.schema, record.table))
        return known if known is not None and known.agrees(record) else None

    def make(self, record: Record) -> Known:
        """A relation that agrees with the record."""
        name = (record.schema, record.table)
        before, facts = self._known.get(name), self._facts_of(*name)
        places = _places(record, before, facts)
        primary_key = [cell.name for cell in record.pk]
        replica_identity, key = _identity(record, before, facts, primary_key, places)
        made_up = before.relation.oid if before else next(self._made_up)
        columns = [place for place in places if place.at >= 0]
        relation = RelationMessage(
            facts.oid if facts else made_up,
            *name,
            replica_identity,
            tuple(RelationColumn(p.name, p.typeoid, p.typmod, key=p.name in key) for p in columns),
        )
        known = self._known[name] = Known(
            relation,
            {place.name: place for place in places},
            tuple(place.at for place in columns if place.fixed_length),
            primary_key,
            [cell.name for cell in record.identity] or (before.identity if before else []),
            {},
        )
        return known


def _places(record: Record, before: Known | None, facts: TableFacts | None) -> list[Place]:
    """The columns that the table has where the record stands, in their order."""
    now = _places_now(facts)
    others = list(before.places.values()) if before else now
    if record.columns:
        shown = _shown(record.columns, now)
        places = {place.position: place for place in shown}
        names = {place.name for place in shown}
        if record.action == "U":
            left_out = [p for p in others if p.name not in names and not p.fixed_length]
            places = {place.position: place for place in left_out} | places
    else:
        shown = _shown(record.identity, now)
        fits = [each for each in (others, now) if _contains(each, shown)]
        places = {place.position: place for place in (fits[0] if fits else shown)}
    generated = {column.name for column in facts.columns if column.generated} if facts else set()
    at = count()
    return [
        place._replace(at=-1 if place.name in generated else next(at)) for _, place in sorted(places.items())
    ]


def _places_now(facts: TableFacts | None) -> list[Place]:
    if facts is None:
        return []
    return [Place(c.name, 0, c.type_oid, c.type_name, c.typmod, c.attnum) for c in facts.columns]


def _shown(cells: Iterable[Cell], now: Sequence[Place]) -> list[Place]:
    """The columns that a record shows. The catalog's modifier is taken for a type that is still the same."""
    current = {(place.name, place.typeoid): place for place in now}
    places = []
    for number, cell in enumerate(cells, 1):
        same = current.get((cell.name, cell.typeoid & OID))
        typmod = same.typmod if same and same.type == cell.type else parse_typmod(cell.type)
        position = cell.position or (same.position if same else number)
        places.append(Place(cell.name, 0, cell.typeoid & OID, cell.type, typmod, position))
    return places


def _contains(places: Sequence[Place], shown: Sequence[Place]) -> bool:
    have = {(place.name, place.typeoid, place.type) for place in places}
    return bool(places) and all((place.name, place.typeoid, place.type) in have for place in shown)


def _identity(
    record: Record,
    before: Known | None,
    facts: TableFacts | None,
    primary_key: Sequence[str],
    places: Sequence[Place],
) -> tuple[str, frozenset[str]]:
    """The replica identity and its columns: what old rows show, and before there is one, what the catalog says."""
    every = frozenset(place.name for place in places)
    shown = frozenset(cell.name for cell in record.identity)
    may_be = {FULL: every, DEFAULT: frozenset(primary_key)}
    if facts and facts.replica_identity == INDEX:
        may_be[INDEX] = frozenset(facts.identity_index)
    said = facts.replica_identity if facts else before.relation.replica_identity if before else DEFAULT
    if not shown:
        return said, may_be.get(said, frozenset()) & every
    likely = [said, DEFAULT, FULL]
    return next((kind for kind in likely if may_be.get(kind) == shown), INDEX), shown
