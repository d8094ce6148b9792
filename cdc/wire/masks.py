"""Columns that are cut, masked or hashed on their way, or tell their source's type: what replaces a lane, and its schema."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable

import msgspec

from cdc.format import FormatSettings
from cdc.schema import Column, Table
from cdc.wire.jdbc import propagated, size
from cdc.wire.json_text import NULL, quote
from cdc.wire.lane import Lane, with_parameters
from cdc.wire.lanes import is_string
from cdc.wire.names import matcher


class Masked(msgspec.Struct, frozen=True):
    """`constant`: what the column always shows, also in place of NULL."""

    lane: Lane
    constant: bytes | None = None


def masked(table: Table, column: Column, lane: Lane, settings: FormatSettings) -> Masked | None:
    """How the column is altered; None: not at all. The first rule that names it counts, in Debezium's order of rules."""
    name = f"{table.full_name}.{column.name}"
    for length, patterns in settings.column_truncate_to_chars.items():
        if matcher(patterns).fullmatch(name):
            return Masked(_cut(column, lane, int(length)))
    for length, patterns in settings.column_mask_with_chars.items():
        if matcher(patterns).fullmatch(name):
            return _starred(column, lane, int(length))
    rules = settings.column_propagate_source_type, settings.datatype_propagate_source_type
    if told := propagated(table, column, *rules):
        return Masked(with_parameters(lane, told))
    for hashes, shown in ((settings.column_mask_hash, serialised), (settings.column_mask_hash_v2, bytes)):
        for how, patterns in hashes.items():
            if matcher(patterns).fullmatch(name):
                algorithm, _, salt = how.partition(".with.salt.")
                return Masked(_hashed(column, lane, algorithm, salt.encode(), shown))
    return None


def _cut(column: Column, lane: Lane, length: int) -> Lane:
    """Text to so many UTF-16 units, bytes to so many bytes."""
    if size(column) <= length:
        return lane
    if lane.schema.type not in ("string", "bytes"):
        return msgspec.structs.replace(
            _altered(lane, lane.convert, truncateLength=str(length)), form=lane.form
        )
    inner = lane.convert
    convert: Callable[[bytes], bytes]
    if lane.schema.type == "bytes":

        def convert(cell: bytes) -> bytes:
            return b'"%b"' % b64encode(b64decode(inner(cell)[1:-1])[:length])
    elif lane.form == "text":

        def convert(cell: bytes) -> bytes:
            return quote(_prefix(cell, length))
    else:

        def convert(cell: bytes) -> bytes:
            text: str | None = msgspec.json.decode(inner(cell))
            return NULL if text is None else quote(_prefix(text.encode(), length))

    return _altered(lane, convert, truncateLength=str(length))


def _prefix(text: bytes, length: int) -> bytes:
    units = text.decode().encode("utf-16-le")[: length * 2]
    return units.decode("utf-16-le", "ignore").encode()


def _starred(column: Column, lane: Lane, length: int) -> Masked:
    altered = _altered(lane, lane.convert, masked="true")
    if not is_string(lane.schema, column.type.kind):
        return Masked(msgspec.structs.replace(altered, form=lane.form))
    stars = b'"%b"' % (b"*" * length)
    return Masked(_altered(lane, lambda _: stars, masked="true"), stars)


def serialised(text: bytes) -> bytes:
    """A string as Java serialises it, which is what the first version of the hash is of: UTF-16 units, each as if a character."""
    units = text.decode().encode("utf-16-be")
    pairs = zip(units[::2], units[1::2], strict=True)
    written = b"".join(chr(high << 8 | low).encode("utf-8", "surrogatepass") for high, low in pairs)
    short = len(written) < 1 << 16
    length = len(written).to_bytes(2 if short else 8, "big")
    return b"\xac\xed\x00\x05" + (b"t" if short else b"|") + length + written


def _hashed(column: Column, lane: Lane, algorithm: str, salt: bytes, shown: Callable[[bytes], bytes]) -> Lane:
    """Hexadecimal, and no longer than the column may be. `shown`: the bytes of the text that are hashed."""
    if not is_string(lane.schema, column.type.kind):
        return msgspec.structs.replace(_altered(lane, lane.convert, masked="true"), form=lane.form)
    name = algorithm.lower().replace("-", "") if algorithm.upper().startswith("SHA-") else algorithm.lower()
    name = name.replace("sha3", "sha3_").replace("sha512/", "sha512_")
    length = size(column)

    def convert(cell: bytes) -> bytes:
        if lane.convert(cell) == NULL:
            return NULL
        return b'"%b"' % hashlib.new(name, salt + shown(cell)).hexdigest()[:length].encode()

    return _altered(lane, convert, masked="true")


def _altered(lane: Lane, convert: Callable[[bytes], bytes], **parameters: str) -> Lane:
    unsent = lane.unsent  # a placeholder that is text is altered, too
    if lane.form == "text" and unsent[:1] == b'"':
        unsent = convert(str(msgspec.json.decode(unsent)).encode())
    return msgspec.structs.replace(
        with_parameters(lane, parameters), convert=convert, form="call", unsent=unsent
    )
