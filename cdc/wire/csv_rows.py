"""Rows of a snapshot's chunk: PostgreSQL's CSV, where NULL is an empty field and an empty string is `""`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cdc.events import Cell

_FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|([^,"]*)),')


def read_rows(csv: bytes) -> Iterator[tuple[Cell, ...]]:
    """The rows, one after the other. A line without quotes is split; with some it is read field by field, together with the
    next ones as long as one is open."""
    lines = csv.split(b"\n")
    lines.pop()
    if b'"' not in csv:
        yield from map(_split, lines)
        return
    begun = b""
    for line in lines:
        if not begun and b'"' not in line:
            yield _split(line)
            continue
        begun = begun + b"\n" + line if begun else line
        if begun.count(b'"') % 2 == 0:
            yield _read(begun)
            begun = b""


def _split(line: bytes) -> tuple[Cell, ...]:
    cells = line.split(b",")
    return tuple(cells) if all(cells) else tuple([cell or None for cell in cells])


def _read(line: bytes) -> tuple[Cell, ...]:
    """What stands between two quotes is a cell, unless nothing stands between it and the next: then a quote was doubled."""
    parts = line.split(b'"')
    if b"" in parts[2:-1:2]:
        return _matched(line)
    cells: list[Cell] = []
    for outside, quoted in zip(parts[:-1:2], parts[1::2], strict=True):
        between = outside[:-1] if not cells else outside[1:-1]
        if between or len(outside) > 1 or (outside and not cells):
            cells += [cell or None for cell in between.split(b",")]
        cells.append(quoted)
    if rest := parts[-1]:
        cells += [cell or None for cell in rest[1:].split(b",")]
    return tuple(cells)


def _matched(line: bytes) -> tuple[Cell, ...]:
    cells: list[Cell] = []
    for match in _FIELD.finditer(line + b","):
        quoted, plain = match.groups()
        cells.append(plain or None if quoted is None else quoted.replace(b'""', b'"'))
    return tuple(cells)
