"""Rows of a snapshot's chunk: PostgreSQL's CSV, where NULL is an empty field and an empty string is `""`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cdc.events import Cell

_FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|([^,\n"]*))([,\n])')


def read_rows(csv: bytes) -> Iterator[tuple[Cell, ...]]:
    """The rows, one after the other. Text without quotes is split; with some it is read field by field."""
    if b'"' not in csv:
        for line in csv.split(b"\n")[:-1]:
            yield tuple([cell or None for cell in line.split(b",")])
        return
    row: list[Cell] = []
    for match in _FIELD.finditer(csv):
        quoted, plain, behind = match.groups()
        row.append(plain or None if quoted is None else quoted.replace(b'""', b'"'))
        if behind == b"\n":
            yield tuple(row)
            row = []
