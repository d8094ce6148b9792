"""How two databases say the same of the same rows: hashes that each computes in its own SQL, over texts that both can make.

A value's text has one of these *forms*, which the target chooses per column, as it cannot print what it does not keep:

- `TEXT`: as the replication stream prints it (see the session settings in `source/connect.py`);
- `FLOAT`: real and double in C's `%.16e` form, 17 significant digits of the double nearest to the value, or PostgreSQL's
  words `NaN`, `Infinity`, `-Infinity`; so that neither side's habit of printing floats matters;
- `ONE_ZERO`: the same, and `0` for `-0`, for a target that cannot keep that apart (nor does PostgreSQL's `=`);
- `NUMBER`: numeric without the zeros at the end of its decimals, for a target that does not keep how many there were.

For a column of arrays the form is that of its elements; other than `TEXT`, it is `{a,b,NULL}` of the elements in a row.

A row is *framed* by writing its columns one after the other, so that no two rows give the same text:

- kinds in `PLAIN`: the text and a `;`; of NULL, the `;` alone. These texts are never empty, and end where their own grammar says;
- all others: the length of the text in bytes of UTF-8, a `:`, and the text; of NULL, the `:` alone.

The *row hash* is the MD5 of all columns framed, in hex. Its first two digits are the row's *bucket*, its first
fifteen a number. A digest of a bucket counts its rows and adds up their numbers: the order of rows does not
matter, and how often one occurs does.

If a row differs, so do the digests of the buckets that its two versions are in; hence rows of the buckets that differ hold all
that there is to know. Those are told apart by the *key hash*: the MD5 of the key's columns, or of all where there is no key, each
with its length as if no kind were plain. Both sides give them in the order of key hash and row hash and are merged in one pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cdc.schema import Column, Table

TEXT, FLOAT, ONE_ZERO, NUMBER = "text", "float", "one zero", "number"
Forms = tuple[str, ...]
"""A form for each column of a table."""

BUCKET_DIGITS, NUMBER_DIGITS = 2, 15
BUCKETS = 16**BUCKET_DIGITS
BUCKET_SHIFT = 4 * (NUMBER_DIGITS - BUCKET_DIGITS)  # a number without these lowest bits is the bucket
KEY_LENGTH = 1000  # characters of a key text that are told; of a row without a key, it is the row

PLAIN = frozenset(
    {
        *("bool", "int2", "int4", "int8", "oid", "xid8", "float4", "float8", "numeric", "money"),
        *("bytea", "bit", "uuid", "json", "jsonb", "pg_lsn", "inet", "cidr", "macaddr", "macaddr8"),
        *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
        *("array", "range", "multirange", "composite"),
    }
)
"""Kinds (of `cdc.pgtypes`) whose text needs no length. Not varbit, tsvector or enum: theirs may be empty."""


def is_plain(column: Column) -> bool:
    return column.type.kind in PLAIN


def key_of(table: Table) -> tuple[int, ...]:
    """The columns that rows are told apart by."""
    return table.key or tuple(range(len(table.columns)))


def frame(table: Table, texts: Sequence[bytes | None]) -> bytes:
    """The row text, for whoever has no SQL to make it with."""
    return b"".join(
        (text or b"") + b";" if is_plain(column) else framed(text)
        for column, text in zip(table.columns, texts, strict=True)
    )


def framed(text: bytes | None) -> bytes:
    """A text with its length."""
    return b":" if text is None else b"%d:%s" % (len(text), text)


def row_hash(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def number(row_hash: str) -> int:
    return int(row_hash[:NUMBER_DIGITS], 16)


def describe_key(table: Table, key: str) -> str:
    """A key text for people: `id=17`, `(a=1, b=x)`; what was cut off is an ellipsis."""
    told: list[str] = []
    left = key.encode()
    columns = key_of(table)
    for index in columns:
        length, colon, rest = left.partition(b":")
        if not colon:
            told.append("…")
            break
        size = int(length or 0)
        text = rest[:size].decode(errors="ignore") if length else "NULL"
        told.append(f"{table.columns[index].name}={text}{'…' if size > len(rest) else ''}")
        left = rest[size:]
    return told[0] if len(columns) == 1 else f"({', '.join(told)})"
