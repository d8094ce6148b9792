"""Rows of a chunk are read as they were written, wherever quotes, commas and line ends stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.wire.csv_rows import read_rows

CELLS = st.none() | st.text('a, "\n\\', max_size=5).map(str.encode)
WIDTHS = st.integers(1, 4)
TABLES = WIDTHS.flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width).map(tuple), max_size=5)
)


def written(cell: bytes | None) -> bytes:
    """As COPY writes a field: quoted where it must be, and where an empty text would be taken for NULL."""
    if cell is None:
        return b""
    if not cell or any(each in cell for each in (b'"', b",", b"\n")):
        return b'"' + cell.replace(b'"', b'""') + b'"'
    return cell


@given(rows=TABLES)
def test_rows_come_back_as_they_were(rows: list[tuple[bytes | None, ...]]) -> None:
    csv = b"".join(b",".join(map(written, row)) + b"\n" for row in rows)
    assert list(read_rows(csv)) == rows
