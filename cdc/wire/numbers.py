"""Numbers: PostgreSQL's text to the forms of Java and of Connect, and back.

A decimal is the base64 of its unscaled value in two's complement. A double
is printed as Java 17 does.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from cdc.wire.java_digits import double_digits, float_digits

SPECIAL = {b"NaN", b"Infinity", b"-Infinity"}


def unscaled_base64(value: int) -> bytes:
    """BigInteger.toByteArray, in base64: as many bytes as the value and its sign take."""
    bits = value.bit_length() if value >= 0 else (value + 1).bit_length()
    return b64encode(value.to_bytes(bits // 8 + 1, "big", signed=True))


def unscaled(text: bytes) -> tuple[int, int]:
    """b'-1.50' → (-150, 2): the digits, and how many of them follow the point."""
    whole, _, fraction = text.partition(b".")
    digits = whole + fraction
    # of more digits than Python likes to convert, Decimal makes the same number
    value = int(digits) if len(digits) < 4000 else int(Decimal(digits.decode()))
    return value, len(fraction)


def decimal_text(encoded: bytes, scale: int) -> bytes:
    """The inverse: base64 of the unscaled value to plain text."""
    value = int.from_bytes(b64decode(encoded), "big", signed=True)
    if scale <= 0:
        return _int_text(value * 10**-scale)
    digits = _int_text(abs(value)).rjust(scale + 1, b"0")
    return b"%b%b.%b" % (b"-" if value < 0 else b"", digits[:-scale], digits[-scale:])


def _int_text(value: int) -> bytes:
    return b"%d" % value if value.bit_length() < 13_000 else f"{Decimal(value):f}".encode()


def rescaled(value: int, scale: int, wanted: int) -> int | None:
    """The unscaled value at another scale; None if digits would be lost."""
    if wanted >= scale:
        return value * int(10 ** (wanted - scale))
    quotient, rest = divmod(value, 10 ** (scale - wanted))
    return None if rest else quotient


def rounded(text: bytes, scale: int) -> bytes:
    """To so many digits behind the point, half up."""
    return str(Decimal(text.decode()).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)).encode()


def stripped(value: int, scale: int) -> tuple[int, int]:
    """Without the zeros that end its fraction."""
    while scale > 0 and value % 10 == 0:
        value //= 10
        scale -= 1
    return value, scale


@lru_cache(maxsize=8192)
def java_double(text: bytes, *, single: bool = False) -> bytes:
    """A float's or double's text as Java prints it, the special ones as JSON strings."""
    if text in SPECIAL:
        return b'"%b"' % text
    value = float(text)
    if single:
        (value,) = struct.unpack("f", struct.pack("f", value))
    sign = b"-" if text[:1] == b"-" else b""
    if value == 0:
        return sign + b"0.0"
    found, point = (float_digits if single else double_digits)(abs(value))
    digits = found.rstrip("0").encode()
    if -2 <= point <= 7:
        if point <= 0:
            return b"%b0.%b%b" % (sign, b"0" * -point, digits)
        return b"%b%b.%b" % (sign, digits[:point].ljust(point, b"0"), digits[point:] or b"0")
    return b"%b%b.%bE%d" % (sign, digits[:1], digits[1:] or b"0", point - 1)


def postgres_double(text: bytes) -> bytes:
    """A double as Java prints it → as PostgreSQL does; other spellings are PostgreSQL's already."""
    if not (text.endswith(b".0") or b"E" in text):
        return text
    value = float(text)
    if value == 0:
        return b"%.0f" % value
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    minus, figures, point = b"-" * sign, "".join(map(str, digits)), len(digits) + exponent - 1
    if -5 < point < 15:
        return minus + f"{Decimal((0, digits, exponent)):f}".encode()
    fraction = f".{figures[1:]}" if len(figures) > 1 else ""
    return minus + f"{figures[0]}{fraction}e{point:+03d}".encode()


def decimal_as_double(text: bytes) -> bytes:
    """A numeric's text as Java prints the double nearest to it."""
    value = float(text)
    if text in SPECIAL or value in (float("inf"), float("-inf")):
        return b'"%b"' % (text if text in SPECIAL else b"Infinity" if value > 0 else b"-Infinity")
    return java_double(repr(value).encode())


def money_text(text: bytes) -> bytes:
    """b'-$1,234.50' → b'-1234.50' (lc_monetary is C)."""
    return text.replace(b"$", b"").replace(b",", b"")


def money_from(text: bytes) -> bytes:
    """The inverse."""
    sign, digits = (b"-", text[1:]) if text[:1] == b"-" else (b"", text)
    whole, _, cents = digits.partition(b".")
    return b"%b$%b.%b" % (sign, f"{int(whole):,}".encode(), cents.ljust(2, b"0"))
