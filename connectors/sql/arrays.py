"""PostgreSQL's text of an array, taken apart: for lists, and for JSON that can be turned back into it by DuckDB.

    {1,2,NULL}   {"a b","say \\"hi\\"",""}   {{1,2},{3,4}}   [0:1]={1,2}

The last form, with a lower bound other than 1, fits neither a list nor JSON.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Nested: TypeAlias = "bytes | list[Nested] | None"


class Unlistable(ValueError):
    """An array that the column cannot hold; the message says of which kind."""


TOKEN = re.compile(rb'[{},]|"((?:[^"\\]|\\.)*)"|([^{},"\\]+)', re.DOTALL)
ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def flat(cell: bytes) -> list[bytes | None]:
    """The elements of an array of one dimension; Unlistable for any other."""
    body = cell[1:-1]
    if b'"' not in body and b"{" not in body and b"\\" not in body and cell[:1] == b"{":
        return [None if part == b"NULL" else part for part in body.split(b",")] if body else []
    elements: list[bytes | None] = []
    for element in nested(cell):
        if isinstance(element, list):
            raise Unlistable("an array of several dimensions")
        elements.append(element)
    return elements


def nested(cell: bytes) -> list[Nested]:
    """The elements as lists in lists; Unlistable if it has lower bounds."""
    if cell[:1] != b"{":
        raise Unlistable("an array whose lower bound is not 1")
    top: list[Nested] = []
    stack = [top]
    for match in TOKEN.finditer(cell):
        token = match[0]
        if token == b"{":
            inner: list[Nested] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif token == b"}":
            stack.pop()
        elif match[1] is not None:
            stack[-1].append(ESCAPED.sub(rb"\1", match[1]))
        elif match[2] is not None:
            stack[-1].append(None if token == b"NULL" else token)
    found = top[0]
    assert isinstance(found, list)
    return found


NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[-+]?\d+)?")
NUMERIC = frozenset(("int2", "int4", "int8", "oid", "xid8", "numeric", "float4", "float8"))


def _hex(c: str) -> str:
    return f"\\u{ord(c):04x}"


# Written in hex inside strings: what JSON forbids there, and what its inverse below must not take for structure.
HIDDEN = {c: _hex(c) for c in (*map(chr, range(1, 32)), '"', "\\", "[", "]")}
HIDE = re.compile('[\x01-\x1f"\\\\\\[\\]]')
QUOTE, BACKSLASH = r"""'\"'""", r"'\\'"  # as PostgreSQL writes them between quotes
NULL = re.compile("[nN](?=[uU][lL][lL])")


def to_json(cell: bytes, kind: str) -> bytes:
    """The array as JSON: numbers and booleans as themselves, everything else as a string of PostgreSQL's text."""
    return _json(nested(cell), kind).encode()


def _json(value: Nested, kind: str) -> str:
    if isinstance(value, list):
        return f"[{','.join(_json(each, kind) for each in value)}]"
    if value is None:
        return "null"
    text = value.decode()
    if kind in NUMERIC and NUMBER.fullmatch(text):
        return text
    if kind == "bool":
        return "true" if text == "t" else "false"
    if text.lower() == "null":  # capital digits: PostgreSQL puts this word in quotes
        return f'"{_hex(text[0]).replace("e", "E")}{text[1:]}"'
    text = HIDE.sub(lambda found: HIDDEN[found[0]], text)
    return f'"{NULL.sub(lambda found: _hex(found[0]), text)}"'


def json_text(kind: str) -> str:
    """The inverse of `to_json`, as an expression of DuckDB over `{x}`."""
    # First, PostgreSQL writes without quotes whatever has no structure, white space or backslash in it.
    bare = r"""[^"\\{},\x09-\x0d ]|\\u00(?:0[1-8ef]|1[0-9a-f]|5b|5d|6e|4e)"""
    text = rf"""regexp_replace(({{x}})::VARCHAR, '"((?:{bare})+)"', '\1', 'g')"""
    text = f"replace({text}, 'null', 'NULL')"
    if kind == "bool":
        text = f"replace(replace({text}, 'true', 't'), 'false', 'f')"
    text = f"replace(replace({text}, '[', '{{'), ']', '}}')"
    text = rf"replace(replace({text}, '\u006E', 'n'), '\u004E', 'N')"
    shown = {**HIDDEN, "n": _hex("n"), "N": _hex("N")}
    quote, backslash = shown.pop('"'), shown.pop("\\")
    text = f"replace({text}, '{quote}', {QUOTE})"
    for c, hidden in shown.items():
        text = f"replace({text}, '{hidden}', chr({ord(c)}))"
    return f"replace({text}, '{backslash}', {BACKSLASH})"  # last, as it may make what looks like another
