"""Takes the rows of a COPY out of PostgreSQL's messages, many at once: one call of a regex instead of a call per row. Pure.

    'd' length(4, itself included) row '\\n'     'd' length row '\\n'     …     'c' …

Text that PostgreSQL sends has no zero byte, and the length of a message below 16 MiB begins with one. So in a run of messages
that begins with such a one, "newline, d, zero" is where the next one begins, and nowhere else. Larger messages are taken one
by one: whoever calls keeps the bytes at hand below 16 MiB beyond the message at their start.
"""

from __future__ import annotations

import re
import struct

HEADER = struct.Struct(">cI")
SMALL = 1 << 24
BETWEEN_ROWS = re.compile(rb"\nd\x00...", re.DOTALL)


def take_rows(data: bytes) -> tuple[bytes, int, int]:
    """The whole rows that `data` begins with: their text, how many they are, and how many bytes of `data` they took."""
    if len(data) < HEADER.size or data[:1] != b"d":
        return b"", 0, 0
    if data[1]:
        end = _end(data, 0)
        return (data[5:end], 1, end) if end <= len(data) else (b"", 0, 0)
    rows = BETWEEN_ROWS.split(data[5:])
    last = rows.pop()
    begin = len(data) - len(last) - HEADER.size
    end = _end(data, begin)
    if end > len(data):
        return (b"\n".join((*rows, b"")), len(rows), begin) if rows else (b"", 0, 0)
    rows.append(data[begin + HEADER.size : end])
    return b"\n".join(rows), len(rows), end


def wanted(data: bytes | bytearray) -> int:
    """How many bytes the message at the start of `data` has; its header's size as long as that is not known."""
    return _end(data, 0) if len(data) >= HEADER.size else HEADER.size


def _end(data: bytes | bytearray, begin: int) -> int:
    return begin + 1 + int(HEADER.unpack_from(data, begin)[1])


def fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse by their letters: C is the SQLSTATE, M the message."""
    parts = body.split(b"\0")
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}
