"""PostgreSQL's texts of composed values: arrays, hstore, points; taken apart, and put together as the server prints them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

Element: TypeAlias = "bytes | list[Element] | None"

_TOKEN = re.compile(rb'[{}]|"((?:[^"\\]|\\.)*)"|((?:[^,{}"\\]|\\.)+)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = re.compile(rb"[^\s{},\"\\]+")
_PAIR = re.compile(rb'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)', re.DOTALL)


def parse_array(text: bytes, delimiter: bytes = b",") -> list[Element]:
    """b'{1,NULL,"a b"}' → its elements, lists within for further dimensions. Bounds before the braces are left out.

    Only box has another delimiter than a comma.
    """
    at = text.index(b"{")
    stack: list[list[Element]] = []
    top: list[Element] = []
    if delimiter == b";":
        return [part.encode() for part in text[at + 1 : -1].decode().split(";") if part]
    for match in _TOKEN.finditer(text, at):
        token = match[0]
        if token == b"{":
            stack.append(top)
            top = []
        elif token == b"}":
            inner, top = top, stack.pop()
            top.append(inner)
        elif match[1] is not None:
            top.append(_ESCAPE.sub(rb"\1", match[1]))
        else:
            top.append(None if token == b"NULL" else _ESCAPE.sub(rb"\1", token))
    found = top[0] if top else []
    if not isinstance(found, list):
        raise ValueError("not an array")
    return found


def array_text(elements: Iterable[Element]) -> bytes:
    """The inverse: quoted only where the server quotes."""
    return b"{%b}" % b",".join(_element_text(element) for element in elements)


def _element_text(element: Element) -> bytes:
    if element is None:
        return b"NULL"
    if isinstance(element, list):
        return array_text(element)
    if _PLAIN.fullmatch(element) and element.upper() != b"NULL":
        return element
    return b'"%b"' % element.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def is_plain(elements: Sequence[Element], text: bytes) -> bool:
    """One dimension that begins at 1: what a JSON array says."""
    return text[:1] == b"{" and not any(isinstance(element, list) for element in elements)


def parse_hstore(text: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Keys and values in the server's order."""
    for match in _PAIR.finditer(text):
        value = match[2]
        yield _ESCAPE.sub(rb"\1", match[1]), None if value is None else _ESCAPE.sub(rb"\1", value)


def hstore_text(pairs: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    """The inverse."""
    return b", ".join(
        b"%b=>%b" % (_quoted(key), b"NULL" if value is None else _quoted(value)) for key, value in pairs
    )


def _quoted(text: bytes) -> bytes:
    return b'"%b"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def java_map_order(pairs: Iterable[tuple[bytes, bytes | None]]) -> list[tuple[bytes, bytes | None]]:
    """The order in which a java.util.HashMap gives its entries: by bucket, and within it as they came."""
    given = dict(pairs)
    buckets = 16
    while len(given) > buckets * 3 // 4:
        buckets *= 2
    return sorted(given.items(), key=lambda pair: _bucket(pair[0], buckets))


def _bucket(key: bytes, buckets: int) -> int:
    units = key.decode().encode("utf-16-be")
    value = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (value * 31 + (high << 8 | low)) & 0xFFFFFFFF
    return (value ^ value >> 16) & buckets - 1


def parse_point(text: bytes) -> tuple[bytes, bytes]:
    """b'(1.5,-2)' → the texts of x and y."""
    x, _, y = text.strip(b"()").partition(b",")
    return x, y
