"""The target's shape of a table: the source's columns first, under the target's names, then those of the mode and of metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cdc.errors import TargetError
from cdc.modes.settings import Rules
from cdc.modes.stamp import BOOL, CHANGE_COLUMNS, TEXT, TIME
from cdc.schema import Column, Table

DELETED_AT = Column("_cdc_deleted_at", TIME, type_name="timestamp with time zone")
VALID_FROM = replace(DELETED_AT, name="_cdc_valid_from")
VALID_TO = replace(DELETED_AT, name="_cdc_valid_to")
IS_CURRENT = Column("_cdc_is_current", BOOL, type_name="boolean")
POSITION = Column("_cdc_position", TEXT, type_name="text")
UNTIL = Column("_cdc_until", TEXT, type_name="text", nullable=False)
UNSENT_NAMES = Column("_cdc_unsent", TEXT, type_name="text")

OP = CHANGE_COLUMNS["op"]
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "upsert": (),
    "soft_delete": (DELETED_AT,),
    "history": (VALID_FROM, VALID_TO, IS_CURRENT, OP, POSITION, UNTIL),
    "append": (OP, POSITION, CHANGE_COLUMNS["commit_ts"], UNSENT_NAMES),
}
LIVE = {"soft_delete": DELETED_AT.name, "history": VALID_TO.name}
NOW = b"now"
"""`_cdc_until` of a current version. With the source's key it makes the target's, so current versions are found unasked."""


@dataclass(frozen=True)
class Shape:
    """`source` kept as `target`, by `rules`. `stamped` are the metadata columns that the mode does not bring itself."""

    source: Table
    target: Table
    rules: Rules
    stamped: Sequence[str]

    @property
    def width(self) -> int:
        """How many columns are the source's."""
        return len(self.source.columns)


def shape(source: Table, schema: str, name: str, columns: Sequence[Column], rules: Rules) -> Shape:
    """The shape of a table under its target's name and with its columns as the target names them. Raises TargetError."""
    own = COLUMNS[rules.mode]
    stamped = [each for each in CHANGE_COLUMNS if each in rules.metadata and CHANGE_COLUMNS[each] not in own]
    added = (*own, *(CHANGE_COLUMNS[each] for each in stamped))
    _check(source, columns, added, rules)
    key = source.key
    if rules.mode == "append":
        columns, key = [replace(column, nullable=True) for column in columns], ()
    elif rules.mode == "history":
        key = (*key, len(columns) + own.index(UNTIL))
    target = replace(
        source,
        schema=schema,
        name=name,
        columns=(*columns, *added),
        primary_key=key,
        replica_identity="d",
        identity=key,
        unique_key=(),
        live=LIVE.get(rules.mode, ""),
    )
    return Shape(source, target, rules, stamped)


def _check(source: Table, columns: Sequence[Column], added: Sequence[Column], rules: Rules) -> None:
    if rules.mode == "history" and not source.key:
        raise TargetError(
            "the history of a table without key cannot be kept",
            where=source.full_name,
            why="versions belong together by their key",
            hint="add a primary key, or choose mode append for it",
        )
    seen: dict[str, str] = {}
    names = [*zip((column.name for column in columns), source.column_names, strict=True)]
    for name, of in [*names, *((column.name, "a column of cdc's own") for column in added)]:
        other = seen.setdefault(name, of)
        if other != of:
            raise TargetError(
                f"columns {other!r} and {of!r} would both be {name} in the target",
                where=source.full_name,
                hint="leave one out by [source] exclude_columns, or change the rule case, mode or metadata",
            )
