"""Digests and hashes of rows that are computed here, over a stream of a target's rows: for targets whose SQL cannot print
PostgreSQL's texts. The rules are those of `cdc.digest`; memory is bounded whatever the table's size.
"""

from __future__ import annotations

import hashlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

from cdc.digest import (
    BUCKET_DIGITS,
    BUCKET_SHIFT,
    KEY_LENGTH,
    TEXT,
    Forms,
    frame,
    framed,
    key_of,
    number,
    row_hash,
)
from cdc.interfaces import Digest, Hashed
from cdc.schema import Table

Texts = Sequence[bytes | None]
Columns = Mapping[str, "Kept"]
"""How the target keeps those of a table's columns that it has, in the order in which its rows give them."""
CACHE_KB = 16_384  # of the sort; beyond it, SQLite writes to a temporary file


class Kept(Protocol):
    """A connector's way with the values of a column."""

    @property
    def form(self) -> str: ...
    @property
    def text(self) -> Callable[[Any], str]: ...


class HashedView(ABC):
    """The part of a `cdc.interfaces.View` that follows from the texts of all live rows."""

    @abstractmethod
    def texts(self, table: Table) -> Generator[Texts]:
        """Every live row: the texts of these columns, each in its form."""

    def digests(self, table: Table) -> Mapping[int, Digest]:
        with closing(self.texts(table)) as rows:
            return digests(table, rows)

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        with closing(self.texts(table)) as rows:
            yield from hashes(table, rows, buckets, below)


def forms(table: Table, kept: Columns) -> Forms:
    """The form of each column; a column that the target has not got yet shows PostgreSQL's text."""
    return tuple(kept[name].form if name in kept else TEXT for name in table.column_names)


def teller(table: Table, kept: Columns) -> Callable[[Sequence[Any]], Texts]:
    """What makes a target's row the texts of the table's columns; a column that it has not got yet shows its `missing`."""
    places = {name: place for place, name in enumerate(kept)}
    told = [(kept.get(each.name), places.get(each.name, -1), each.missing) for each in table.columns]

    def texts(row: Sequence[Any]) -> Texts:
        return [
            missing if way is None else None if row[place] is None else way.text(row[place]).encode()
            for way, place, missing in told
        ]

    return texts


def digests(table: Table, rows: Iterable[Texts]) -> Mapping[int, Digest]:
    """Per bucket that has rows, how many there are and the sum of their numbers."""
    counts: dict[int, int] = {}
    totals: dict[int, int] = {}
    for texts in rows:
        value = number(row_hash(frame(table, texts)))
        bucket = value >> BUCKET_SHIFT
        counts[bucket] = counts.get(bucket, 0) + 1
        totals[bucket] = totals.get(bucket, 0) + value
    return {bucket: Digest(count, totals[bucket]) for bucket, count in counts.items()}


def hashes(table: Table, rows: Iterable[Texts], buckets: Collection[int], below: str) -> Generator[Hashed]:
    """Rows of these buckets whose key hash is less than `below`, in order; sorted outside of memory if there are many."""
    wanted = {f"{bucket:0{BUCKET_DIGITS}x}" for bucket in buckets}
    key = key_of(table)

    def told() -> Iterable[tuple[str, str, str]]:
        for texts in rows:
            hashed = row_hash(frame(table, texts))
            if hashed[:BUCKET_DIGITS] not in wanted:
                continue
            text = b"".join(framed(texts[index]) for index in key)
            key_hash = hashlib.md5(text, usedforsecurity=False).hexdigest()
            if key_hash < below:
                yield key_hash, hashed, text.decode()[:KEY_LENGTH]

    with closing(sqlite3.connect("")) as sorting:  # a private file of its own, deleted with the connection
        sorting.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        sorting.execute("CREATE TABLE hashed (kh TEXT, h TEXT, k TEXT)")
        sorting.executemany("INSERT INTO hashed VALUES (?, ?, ?)", told())
        for row in sorting.execute("SELECT kh, h, k FROM hashed ORDER BY kh, h"):
            yield Hashed._make(row)
