"""What both decoders give: the plugin's messages, as values, before positions and table shapes are known.

The words are those of the "Logical Replication Message Formats" chapter of PostgreSQL's documentation. LSNs are ints,
times are microseconds since the Unix epoch, cells are as in `cdc.events`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from cdc.events import Row
from cdc.lsn import Lsn


class BeginMessage(msgspec.Struct, frozen=True, gc=False):
    commit_lsn: Lsn
    commit_us: int
    xid: int


class CommitMessage(msgspec.Struct, frozen=True, gc=False):
    commit_lsn: Lsn
    end_lsn: Lsn
    commit_us: int


class OriginMessage(msgspec.Struct, frozen=True):
    origin_lsn: Lsn
    name: str


class RelationColumn(msgspec.Struct, frozen=True):
    """`key`: part of the replica identity."""

    name: str
    type_oid: int
    typmod: int
    key: bool


class RelationMessage(msgspec.Struct, frozen=True):
    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]


class TypeMessage(msgspec.Struct, frozen=True):
    oid: int
    schema: str
    name: str


class InsertMessage(msgspec.Struct, frozen=True):
    relation: int
    new: Row


class UpdateMessage(msgspec.Struct, frozen=True):
    """`old_kind`: '' none sent, 'K' identity columns only, 'O' the whole old row."""

    relation: int
    new: Row
    old: Row | None
    old_kind: str


class DeleteMessage(msgspec.Struct, frozen=True):
    """`old_kind`: 'K' or 'O', as in `UpdateMessage`."""

    relation: int
    old: Row
    old_kind: str


class TruncateMessage(msgspec.Struct, frozen=True):
    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


class LogicalMessage(msgspec.Struct, frozen=True):
    transactional: bool
    lsn: Lsn
    prefix: str
    content: bytes


DecodedMessage: TypeAlias = (
    BeginMessage
    | CommitMessage
    | OriginMessage
    | RelationMessage
    | TypeMessage
    | InsertMessage
    | UpdateMessage
    | DeleteMessage
    | TruncateMessage
    | LogicalMessage
)
