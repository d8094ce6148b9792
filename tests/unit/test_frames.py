"""Frames of the replication protocol, against bytes written by hand."""

from __future__ import annotations

import struct

import pytest

from cdc.errors import DecodeError
from cdc.source.frames import PAYLOAD, POSTGRES_EPOCH, read_keepalive, read_xlog_data, status_update

XLOG_DATA = b"w" + struct.pack(">QQq", 0x16B374D848, 0x16B374D900, 1_500_000) + b"payload"
KEEPALIVE = b"k" + struct.pack(">QqB", 0x16B374D848, 1_500_000, 1)


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_read(kind: type[bytes]) -> None:
    assert read_xlog_data(kind(XLOG_DATA)) == (0x16B374D848, 0x16B374D900, POSTGRES_EPOCH + 1.5)
    assert XLOG_DATA[PAYLOAD:] == b"payload"
    assert read_keepalive(kind(KEEPALIVE)) == (0x16B374D848, True)


@pytest.mark.parametrize("frame", [*(XLOG_DATA[:n] for n in range(PAYLOAD + 1)), KEEPALIVE, b"x" * 40])
def test_xlog_data_cut_or_of_another_kind(frame: bytes) -> None:
    with pytest.raises(DecodeError, match="cannot be read: kind"):
        read_xlog_data(frame)


@pytest.mark.parametrize("frame", [*(KEEPALIVE[:n] for n in range(18)), KEEPALIVE + b"x", XLOG_DATA])
def test_keepalive_cut_too_long_or_of_another_kind(frame: bytes) -> None:
    with pytest.raises(DecodeError, match="not through a pooler"):
        read_keepalive(frame)


def test_status_update() -> None:
    """Time is counted from 2000; the three positions are one."""
    assert status_update(5, POSTGRES_EPOCH + 2.25) == b"r" + struct.pack(">QQQqB", 5, 5, 5, 2_250_000, 0)
    assert status_update(5, POSTGRES_EPOCH, reply_wanted=True)[-1] == 1
