"""A lane: how one column's values come to stand in a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from cdc.errors import ValueRefused
from cdc.format import FormatSettings
from cdc.wire.connect_schema import STRING, ConnectType
from cdc.wire.json_text import NULL, quote

Convert: TypeAlias = Callable[[bytes], bytes]
"""PostgreSQL's text of a value → JSON text."""

Form: TypeAlias = Literal["raw", "text", "bool", "instant", "instant6", "timestamp", "call"]
"""How a generated function writes the value: as it is, as a string of itself, by letter, by a shape that times
commonly have (see `generate.ORDINARY`), or through `convert`, which does right in every case."""


class Lane(msgspec.Struct, frozen=True):
    """`zero` stands for NULL where the column is NOT NULL (Debezium fills up old rows that PostgreSQL did not send).

    `unsent` is the placeholder of a value that PostgreSQL did not send; NULL where the type has no room for one.
    """

    schema: ConnectType
    convert: Convert
    form: Form = "call"
    zero: bytes = b'""'
    unsent: bytes = NULL


def text(schema: ConnectType = STRING, *, unsent: bytes = NULL) -> Lane:
    """PostgreSQL's text as a string."""
    return Lane(schema, quote, "text", unsent=unsent)


def with_parameters(lane: Lane, parameters: Mapping[str, str]) -> Lane:
    """The lane with more parameters in its schema."""
    schema: ConnectType = msgspec.structs.replace(
        lane.schema, parameters={**lane.schema.parameters, **parameters}
    )
    return msgspec.structs.replace(lane, schema=schema)


def as_is(cell: bytes) -> bytes:
    return cell


def no_form(what: str, rule: str, settings: FormatSettings) -> bytes:
    """A value that the setting's form cannot hold: Debezium writes null and says so in its log, ours is refused."""
    if settings.exact:
        mode = getattr(settings, rule)
        raise ValueRefused(
            what, rule=rule, why=f"{mode!r} has no form for it", hint=f"choose another [format] {rule}"
        )
    return NULL
