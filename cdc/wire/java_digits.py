"""A float's or double's digits as Java 17 chooses them: by `jdk.internal.math.FloatingDecimal`, step for step.

Mostly they are the fewest that read back as the same number, but not always: 8.41E21 is printed as 8.409999999999999E21,
and of two neighbours of a power of two the nearer one sets the distance. Newer Javas differ.
"""

from __future__ import annotations

import math
import struct

FRACTION_BITS = 52  # of a double, without the hidden one
_FIVE_BITS = [0, *((5**power).bit_length() for power in range(1, 27))]
_SMALLEST, _LARGEST = -21, 62  # binary exponents of numbers that may fit into a long

Digits = tuple[str, int]
"""Digits, and the decimal exponent: the number is 0.DIGITS times ten to it."""


def double_digits(value: float) -> Digits:
    """Of a positive, finite double."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return _digits(bits >> 52, bits & (1 << 52) - 1, 52, 1023)


def float_digits(value: float) -> Digits:
    """Of a positive, finite float."""
    (bits,) = struct.unpack(">I", struct.pack(">f", value))
    return _digits(bits >> 23, bits & (1 << 23) - 1, 23, 127)


def _digits(exponent: int, fraction: int, width: int, bias: int) -> Digits:
    if exponent == 0:  # subnormal: fewer bits mean something
        significant = fraction.bit_length()
        shift = width + 1 - significant
        fraction <<= shift
        exponent = 1 - shift
    else:
        fraction |= 1 << width
        significant = width + 1
    return _convert(exponent - bias, fraction << FRACTION_BITS - width, significant)


def _convert(exponent: int, fraction: int, significant: int) -> Digits:
    tail = (fraction & -fraction).bit_length() - 1
    bits = FRACTION_BITS + 1 - tail
    tiny = max(0, bits - exponent - 1)
    if _SMALLEST <= exponent <= _LARGEST and tiny == 0 and bits < 64:
        return _whole(exponent, fraction, significant)
    point = _estimate(fraction, exponent)
    b5, s5 = max(0, -point), max(0, point)
    b2, s2 = b5 + tiny + exponent, s5 + tiny
    m2 = b2 - significant
    fraction >>= tail
    b2 -= bits - 1
    common = min(b2, s2)
    b2, s2, m2 = b2 - common, s2 - common, m2 - common
    if bits == 1:
        m2 -= 1  # below a power of two, numbers are half as far apart
    if m2 < 0:
        b2, s2, m2 = b2 - m2, s2 - m2, 0
    value, unit, margin = (fraction * 5**b5) << b2, 5**s5 << s2, 5**b5 << m2
    most = max(bits + b2 + _five_bits(b5), s2 + 1 + _five_bits(s5 + 1))
    return _generate(value, unit, margin, point, width=32 if most < 32 else 64 if most < 64 else 0)


def _generate(value: int, unit: int, margin: int, point: int, *, width: int) -> Digits:
    """Digit by digit, until what is left is within the margin below or above.

    `width`: of Java's integers, which overflow; 0 where it takes big ones, and counts the margin above with its end.
    """
    tens = unit * 10

    def stop() -> tuple[bool, bool]:
        if not width:
            return value < margin, value + margin >= tens
        limited = _wrapped(margin, width)
        return (value < limited, _wrapped(value + limited, width) > tens) if limited > 0 else (True, True)

    digit, rest = divmod(value, unit)
    value, margin = rest * 10, margin * 10
    low, high = stop()
    digits = []
    if digit == 0 and not high:
        point -= 1
    else:
        digits.append(digit)
    if point < -3 or point >= 8:
        low = high = False  # with an exponent, there is a digit behind the point
    while not low and not high:
        digit, rest = divmod(value, unit)
        value, margin = rest * 10, margin * 10
        low, high = stop()
        digits.append(digit)
    above = value * 2 - tens if not width else _wrapped(value * 2 - tens, width)
    if high and (not low or above > 0 or (above == 0 and digits[-1] & 1)):
        return _rounded_up(digits, point + 1)
    return "".join(map(str, digits)), point + 1


def _wrapped(value: int, width: int) -> int:
    half = 1 << width - 1
    return (value + half) % (half * 2) - half


def _rounded_up(digits: list[int], point: int) -> Digits:
    number = int("".join(map(str, digits))) + 1
    text = str(number)
    return text.rjust(len(digits), "0"), point + (len(text) > len(digits))


def _whole(exponent: int, fraction: int, significant: int) -> Digits:
    """An integer: exact, but for the digits that its bits do not reach."""
    extra = exponent - significant - 1
    drop = math.floor(extra * math.log10(2)) if exponent > significant and extra > 1 else 0
    shift = exponent - FRACTION_BITS
    number = fraction << shift if shift >= 0 else fraction >> -shift
    if drop:
        number, residue = divmod(number, 10**drop)
        number += residue >= 10**drop // 2
    text = str(number)
    return text, len(text) + drop


def _estimate(fraction: int, exponent: int) -> int:
    mantissa = fraction / (1 << FRACTION_BITS)
    return math.floor((mantissa - 1.5) * 0.289529654 + 0.176091259 + exponent * 0.301029995663981)


def _five_bits(power: int) -> int:
    return _FIVE_BITS[power] if power < len(_FIVE_BITS) else power * 3
