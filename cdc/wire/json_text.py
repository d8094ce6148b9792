"""JSON text from PostgreSQL's text, byte for byte as Jackson writes it, which is what Debezium's records were written with.

Cells are UTF-8 already and are hardly ever in need of escapes: so a regular expression looks, and only what it finds is
rewritten. Jackson escapes quotes, backslashes and control characters, and writes what lies beyond the basic plane as a
surrogate pair; everything else stays as it is, U+2028 too.
"""

from __future__ import annotations

import re

NULL, TRUE, FALSE = b"null", b"true", b"false"
NEEDS_ESCAPE = re.compile(rb'["\\\x00-\x1f\xf0-\xf4]').search

_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile('["\\\\\\x00-\\x1f\U00010000-\U0010ffff]')


def quote(text: bytes) -> bytes:
    """UTF-8 text as a JSON string."""
    return b'"%b"' % (escape(text) if NEEDS_ESCAPE(text) else text)


def quote_str(text: str) -> bytes:
    return quote(text.encode())


def escape(text: bytes) -> bytes:
    """The inside of a JSON string."""
    return _ESCAPED.sub(_escape_one, text.decode()).encode()


def _escape_one(match: re.Match[str]) -> str:
    character = match[0]
    short = _SHORT.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04X}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04X}\\u{0xDC00 + low:04X}"
