"""Splitting pgoutput's TupleData into cells: the innermost loop of the source, once per row.

A cell on the wire is a kind byte and, for a value, its length (4 bytes) and text: `n` null, `u` unchanged TOAST,
`t` text. For each column count a splitter is generated as straight-line code (as `dataclasses` generates
`__init__`), which takes a cell's text and the next cell's header out of the buffer in one `unpack_from`. It leaves
all that is rare or wrong (cells of a kilobyte and more, unknown kinds, rows cut short) to `split`, a plain loop which
reads such rows too and names their errors. A splitter may read into `PADDING`, but gives no row that ends there.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, TypeAlias

from cdc.errors import DecodeError
from cdc.events import UNSENT, Cell

Splitter: TypeAlias = Callable[[bytes, int, int], tuple[tuple[Cell, ...], int]]
"""(buffer with padding, start of the first cell, end of the message) → cells, end of the last one."""

PADDING = b"\0" * 8  # so that reading the header after the last cell stays inside the buffer
NULL, TEXT, UNCHANGED, BINARY = b"ntub"

_header = Struct(">BI").unpack_from
_text_and_header = [Struct(f">{length}sBI").unpack_from for length in range(1024)]

_CELL = """\
        if kind == {TEXT}:
            following = at + length + 5
            c{i}, kind, length = text_and_header[length](data, at)
            at = following
        elif kind == {NULL} or kind == {UNCHANGED}:
            c{i} = None if kind == {NULL} else UNSENT
            kind, length = header(data, at - 4)
            at += 1
        else:
            return split(data, start, end, {count})
"""
_SPLITTER = """\
def split_{count}(data, start, end):
    try:
        kind, length = header(data, start)
        at = start + 5
{cells}    except (IndexError, StructError):
        return split(data, start, end, {count})
    if at - 5 > end:
        return split(data, start, end, {count})
    return ({row}), at - 5
"""


class Splitters(dict[int, Splitter]):
    """Column count → splitter, made when first asked for."""

    def __missing__(self, count: int) -> Splitter:
        splitter = self[count] = make_splitter(count)
        return splitter


def make_splitter(count: int) -> Splitter:
    """A function which splits rows of `count` columns."""
    names = {"TEXT": TEXT, "NULL": NULL, "UNCHANGED": UNCHANGED, "count": count}
    cells = "".join(_CELL.format(i=i, **names) for i in range(count))
    source = _SPLITTER.format(count=count, cells=cells, row="".join(f"c{i}, " for i in range(count)))
    scope: dict[str, Any] = {
        "header": _header,
        "text_and_header": _text_and_header,
        "split": split,
        "StructError": StructError,
        "UNSENT": UNSENT,
    }
    exec(source, scope)
    splitter: Splitter = scope[f"split_{count}"]
    return splitter


def split(data: bytes, start: int, end: int, count: int) -> tuple[tuple[Cell, ...], int]:
    """The same, for any row: what is wrong with it is said here."""
    cells: list[Cell] = []
    at = start
    for number in range(1, count + 1):
        kind = data[at] if at < end else -1
        if kind == TEXT:
            text = at + 5
            following = text + int.from_bytes(data[at + 1 : text], "big")
            if following > end or text > end:
                raise BrokenMessage(f"cell {number} of {count} ends at byte {following} of {end}", at)
            cells.append(data[text:following])
            at = following
        elif kind in (NULL, UNCHANGED):
            cells.append(None if kind == NULL else UNSENT)
            at += 1
        elif kind == BINARY:
            raise BrokenMessage(
                f"cell {number} of {count} is binary", at, "the option binary was not asked for"
            )
        elif kind < 0:
            raise BrokenMessage(f"it ends before cell {number} of {count}", at)
        else:
            raise BrokenMessage(f"cell {number} of {count} has the unknown kind {bytes([kind])!r}", at)
    return tuple(cells), at


class BrokenMessage(DecodeError):
    """A message breaks the format at byte `at`. The decoder adds which message it was."""

    def __init__(self, what: str, at: int, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.at = at
