"""Digests and hashes of rows that are computed here, over a stream of a target's rows: for targets whose SQL cannot print
PostgreSQL's texts. The rules are those of `cdc.digest`; memory is bounded whatever the table's size.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing

from cdc.digest import BUCKET_DIGITS, BUCKET_SHIFT, KEY_LENGTH, frame, framed, key_of, number, row_hash
from cdc.interfaces import Digest, Hashed
from cdc.schema import Table

Texts = Sequence[bytes | None]
CACHE_KB = 16_384  # of the sort; beyond it, SQLite writes to a temporary file


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
