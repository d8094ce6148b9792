"""A record: what goes to a topic."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Headers: TypeAlias = list[tuple[str, bytes]]

NO_HEADERS: Headers = []


class Record(msgspec.Struct, frozen=True, gc=False):
    """Bytes for a topic. A value of None is a tombstone; a key of None, a record of a table without key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = NO_HEADERS
