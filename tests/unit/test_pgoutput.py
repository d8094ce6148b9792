"""What pgoutput's decoder says of what it refuses, and the forms that a fuzzer does not judge."""

from __future__ import annotations

import pytest

from cdc.errors import DecodeError
from cdc.events import UNSENT
from cdc.source.messages import InsertMessage, RelationMessage, TypeMessage
from cdc.source.pgoutput import PgoutputDecoder
from cdc.source.tuples import make_splitter, split
from tests.fixtures.encode import encode, row

INSERT = encode(InsertMessage(16400, (b"1", None, b"text")))


def refusal(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        PgoutputDecoder()(data)
    return str(caught.value)


def test_errors_name_message_place_reason_and_what_next() -> None:
    assert refusal(INSERT[:-2]) == (
        "a message of pgoutput cannot be read: Insert, byte 15 of 22: cell 3 of 3 ends at byte 24 of 22 "
        "(nothing of its transaction was confirmed: restart to read it again, and report a bug if it stays)"
    )
    assert "Insert, byte 8 of 24: cell 1 of 3 is binary (the option binary" in refusal(
        INSERT.replace(b"t", b"b", 1)
    )
    assert "cell 1 of 3 has the unknown kind b'?'" in refusal(INSERT.replace(b"t", b"?", 1))
    assert "'K' does not announce a row here" in refusal(INSERT.replace(b"N", b"K", 1))
    assert "'?', byte 0 of 1: protocol 1 has no message '?'" in refusal(b"?")
    assert "'', byte 0 of 0: it ends inside a field" in refusal(b"")
    assert "no table has 65535 columns" in refusal(b"I\0\0\0\1N\xff\xff")
    assert "Truncate, byte 6 of 6: 4294967295 relations are announced, in 0 bytes" in refusal(
        b"T\xff\xff\xff\xff\0"
    )
    assert "its text is not UTF-8" in refusal(b"O" + bytes(8) + b"\xff\0")


def test_no_row_values_in_errors() -> None:
    secret = encode(InsertMessage(1, (b"secret", b"x")))
    assert "secret" not in refusal(secret[:-1])


def test_pg_catalog_is_written_as_nothing() -> None:
    decode = PgoutputDecoder()
    assert decode(b"Y\0\0\0\1\0name\0") == TypeMessage(1, "pg_catalog", "name")
    assert decode(b"R\0\0\0\1\0name\0d\0\0") == RelationMessage(1, "pg_catalog", "name", "d", ())


@pytest.mark.parametrize("length", [0, 1, 255, 256, 1023, 1024, 70_000])
def test_lengths_around_what_splitters_know(length: int) -> None:
    cells = (b"x" * length, UNSENT, b"y" * length, None)
    data = row(cells)[2:]
    assert make_splitter(4)(data + bytes(8), 0, len(data)) == (cells, len(data))
    assert split(data, 0, len(data), 4) == (cells, len(data))


def test_widest_table() -> None:
    cells = (b"x",) * 1600
    assert PgoutputDecoder()(encode(InsertMessage(1, cells))) == InsertMessage(1, cells)
