"""Numbers: PostgreSQL's text to the forms of Java and of Connect, and back.

A decimal is the base64 of its unscaled value in two's complement. Java prints a double with the fewest digits that tell it
apart, but no fewer than two.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode, b64encode

SPECIAL = {b"NaN", b"Infinity", b"-Infinity"}
_NUMBER = re.compile(rb"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")


def unscaled_base64(value: int) -> bytes:
    """BigInteger.toByteArray, in base64: as many bytes as the value and its sign take."""
    bits = value.bit_length() if value >= 0 else (value + 1).bit_length()
    return b64encode(value.to_bytes(bits // 8 + 1, "big", signed=True))


def unscaled(text: bytes) -> tuple[int, int]:
    """b'-1.50' → (-150, 2): the digits, and how many of them follow the point."""
    whole, _, fraction = text.partition(b".")
    return int(whole + fraction), len(fraction)


def decimal_text(encoded: bytes, scale: int) -> bytes:
    """The inverse: base64 of the unscaled value to plain text."""
    value = int.from_bytes(b64decode(encoded), "big", signed=True)
    if scale <= 0:
        return b"%d" % (value * 10**-scale)
    digits = b"%0*d" % (scale + 1, abs(value))
    return b"%b%b.%b" % (b"-" if value < 0 else b"", digits[:-scale], digits[-scale:])


def rescaled(value: int, scale: int, wanted: int) -> int | None:
    """The unscaled value at another scale; None if digits would be lost."""
    if wanted >= scale:
        return value * 10 ** (wanted - scale)
    quotient, rest = divmod(value, 10 ** (scale - wanted))
    return None if rest else quotient


def stripped(value: int, scale: int) -> tuple[int, int]:
    """Without the zeros that end its fraction."""
    while scale > 0 and value % 10 == 0:
        value //= 10
        scale -= 1
    return value, scale


def java_double(text: bytes, *, single: bool = False) -> bytes:
    """A float's or double's text as Java prints it, the special ones as JSON strings. `text` has the fewest digits already."""
    if text in SPECIAL:
        return b'"%b"' % text
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("not a number")
    sign, whole, fraction, exponent = match.groups(b"")
    digits = (whole + fraction).lstrip(b"0")
    point = (
        len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    )  # 0.DIGITS times ten to this
    digits = digits.rstrip(b"0")
    if not digits:
        return sign + b"0.0"
    if -2 <= point <= 7:
        if point <= 0:
            return b"%b0.%b%b" % (sign, b"0" * -point, digits)
        return b"%b%b.%b" % (sign, digits[:point].ljust(point, b"0"), digits[point:] or b"0")
    if len(digits) == 1:
        digits, point = _two_digits(digits, point, single=single)
    return b"%b%b.%bE%d" % (sign, digits[:1], digits[1:] or b"0", point - 1)


def _two_digits(digits: bytes, point: int, *, single: bool) -> tuple[bytes, int]:
    """Of two-digit numbers that read back as the same, the nearest one: 5e-324 is 4.9E-324."""
    value = float(b"0.%be%d" % (digits, point))
    if single:
        (value,) = struct.unpack("f", struct.pack("f", value))
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    nearest = float(f"{mantissa}e{exponent}")
    same = struct.pack("f", nearest) == struct.pack("f", value) if single else nearest == value
    if not same:
        return digits, point
    return mantissa.replace(".", "").encode().rstrip(b"0"), int(exponent) + 1


def decimal_as_double(text: bytes) -> bytes:
    """A numeric's text as Java prints the double nearest to it."""
    return java_double(text if text in SPECIAL else repr(float(text)).encode())


def money_text(text: bytes) -> bytes:
    """b'-$1,234.50' → b'-1234.50' (lc_monetary is C)."""
    return text.replace(b"$", b"").replace(b",", b"")


def money_from(text: bytes) -> bytes:
    """The inverse."""
    sign, digits = (b"-", text[1:]) if text[:1] == b"-" else (b"", text)
    whole, _, cents = digits.partition(b".")
    return b"%b$%b.%b" % (sign, f"{int(whole):,}".encode(), cents.ljust(2, b"0"))
