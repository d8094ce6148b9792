"""How two databases say the same of the same rows: hashes that each can compute in its own SQL.

The *row text* of some columns is, for each column in turn, `<length>:<text>` with PostgreSQL's text of the value and its length
in characters, or `-` for NULL. For the texts to be equal, each side renders them by fixed rules:

- real and double: 17 significant digits in C's `%.16e` form (of the double nearest to the value), or PostgreSQL's words for
  NaN and infinities, so that neither side's habit of printing floats matters;
- everything else as the replication stream prints it (see the session settings in `source/connect.py`).

The *row hash* is the MD5 of the row text of all columns, in hex. The *key text* is the row text of `table.key`, or of all columns
where there is no key. A row's *bucket* is the first two hex digits of the MD5 of its key text. A digest adds up the first 15
hex digits of the row hashes as numbers: the order of rows does not matter, the number of equal rows does.
"""

from __future__ import annotations

BUCKETS = 256
HASH_DIGITS = 15
