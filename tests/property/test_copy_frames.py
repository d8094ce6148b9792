"""Rows are taken out of a COPY's messages as one by one, wherever the bytes at hand end and whatever the rows hold."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from cdc.source import copy_frames
from cdc.source.copy_frames import take_rows, wanted

# what a row may hold that looks like what is between rows; text of PostgreSQL has no zero byte
CELL = st.sampled_from([b"a", b"\n", b"d", b"\nd", b'"', b",", b"d\x01", b"\xff", b"c"])
ROW = st.lists(CELL, max_size=30).map(b"".join)
# lengths whose bytes look like the beginning of a message: 0x0a64 and 0x0a6400 are "\nd" and "\nd\0"
ODD = st.sampled_from([0x0A64, 0x0A6400, 0x0A640A, 0x640A]).map(lambda size: b"x" * (size - 5))
ROWS = st.lists(st.one_of(ROW, ROW, ODD).map(lambda row: row + b"\n"), max_size=20)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


@given(
    ROWS, st.integers(0, 1 << 22), st.sampled_from([b"", message(b"c", b""), message(b"N", b"d\0\0\0\nd\0")])
)
def test_what_is_whole_is_taken_and_nothing_else(rows: list[bytes], cut: int, end: bytes) -> None:
    data = b"".join(message(b"d", row) for row in rows) + end
    at_hand = data[: len(data) - cut % (len(data) + 1)]
    whole, size = 0, 0
    while whole < len(rows) and size + len(rows[whole]) + 5 <= len(at_hand):
        size += len(rows[whole]) + 5
        whole += 1
    assert take_rows(at_hand) == (b"".join(rows[:whole]), whole, size)
    if at_hand[size:]:
        assert wanted(at_hand[size:]) > len(at_hand) - size or at_hand[size:][:1] != b"d"


def test_a_row_of_16_megabytes_and_more_is_taken_alone() -> None:
    large = b"x" * copy_frames.SMALL + b"\n"
    data = message(b"d", b"before\n") + message(b"d", large)
    assert take_rows(data) == (b"before\n", 1, 12)
    data = data[12:]
    assert take_rows(data[:-1]) == (b"", 0, 0)
    assert wanted(data[:9]) == len(data)
    assert take_rows(data + message(b"d", b"after\n")) == (large, 1, len(data))
