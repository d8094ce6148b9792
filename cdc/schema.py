"""What a table looks like at one point of the stream: its columns, their logical types, and what identifies a row.

A `Table` is a value made once per relation and shared by all its events, so identity (`is`) tells the hot path whether the
shape changed; `fingerprint` says whether two of them describe the same shape.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

DEFAULT, NOTHING, FULL, INDEX = "d", "n", "f", "i"  # pg_class.relreplident


@dataclass(frozen=True, slots=True)
class LogicalType:
    """A type by meaning, independent of OIDs and of any warehouse.

    `kind` is one of `cdc.pgtypes.KINDS`. `precision` and `scale` belong to numeric (None: unconstrained) and, as
    `precision` alone, to the digits of seconds of times; `length` to char, varchar and bit; `element` to arrays and
    ranges; `labels` to enums, in their order.
    """

    kind: str
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    element: LogicalType | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `default` is PostgreSQL's expression text, None without one; `type_name` as `format_type` prints it.

    `attnum` is PostgreSQL's attribute number (0: unknown): it survives a rename. `missing` is the text of the value that rows
    older than the column show (`pg_attribute.attmissingval`; None: NULL).
    """

    name: str
    type: LogicalType
    type_oid: int = 0
    typmod: int = -1
    type_name: str = ""
    nullable: bool = True
    default: str | None = None
    attnum: int = 0
    missing: bytes | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A table's shape. Column references are indexes into `columns`.

    `primary_key` is in the order of the constraint. `identity` holds the columns of the replica identity: what an old row
    is sure to carry (empty under NOTHING and for DEFAULT without primary key; all columns under FULL). `unique_key` is an
    index that could be a primary key (unique, all NOT NULL) where there is none: Debezium takes keys of records from it.

    `catalog` holds the attribute numbers of all columns that the catalog has by now (empty: unknown), and, as negative ones,
    of those that were dropped: a number that is not there belongs to a column that came later. The dropped ones tell apart shapes
    before a column was added and after it was dropped.

    `live` belongs to shapes of a target: a column in which a row has NULL as long as it counts; one with a value there is
    past (deleted softly, an ended version). Empty: all rows count. `stands_for` is the full name of the table whose rows a
    `shadow` gathers, and whose rules of the configuration it therefore follows.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[int, ...] = ()
    replica_identity: str = DEFAULT
    identity: tuple[int, ...] = ()
    oid: int = 0
    unique_key: tuple[int, ...] = ()
    live: str = ""
    catalog: tuple[int, ...] = ()
    stands_for: str = ""

    @cached_property
    def shadow(self) -> Table:
        """A table beside this one that gathers its rows anew (see `cdc.merge.Merge.take`)."""
        digest = hashlib.blake2b(self.full_name.encode(), digest_size=6).hexdigest()
        return replace(self, name=f"_cdc_copy_{digest}", stands_for=self.full_name)

    @property
    def original(self) -> Table:
        """The table that a shadow stands for."""
        return replace(self, name=self.stands_for.removeprefix(f"{self.schema}."), stands_for="")

    @cached_property
    def configured_name(self) -> str:
        """The full name that settings of single tables and columns know it by."""
        return self.stands_for or self.full_name

    @cached_property
    def full_name(self) -> str:
        """`schema.table`, as people write it; not quoted."""
        return f"{self.schema}.{self.name}"

    @cached_property
    def key(self) -> tuple[int, ...]:
        """The columns that rows are merged by; empty: the table has none, and rows are matched whole.

        An identity by index wins over the primary key, because only its columns stand in an old row.
        """
        if self.replica_identity == INDEX and self.identity:
            return self.identity
        return self.primary_key

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits, equal for equal shapes, on every machine and in every run."""
        parts = [self.schema, self.name, self.replica_identity, repr(self.primary_key), repr(self.identity)]
        parts += [repr(self.unique_key)] if self.unique_key else []
        parts += [self.live] if self.live else []
        dropped = [number for number in self.catalog if number < 0]
        parts += [repr(dropped)] if dropped else []
        parts += [repr((c.name, c.type, c.type_oid, c.typmod, c.nullable, c.default)) for c in self.columns]
        return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)
