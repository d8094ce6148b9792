"""LogicalType → Snowflake: the column's type, the text that is staged, the expression that loads it, the text of what is read.

What Snowflake would round, clamp or cut is refused before it is staged. Text is the rule for what has no exact place there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from cdc.digest import FLOAT, NUMBER, TEXT
from cdc.errors import ConfigError
from cdc.schema import Column, LogicalType, Table
from connectors.snowflake.settings import Settings
from connectors.sql import values
from connectors.sql.values import Unkeepable

MAX_DIGITS, MAX_DECIMALS = 38, 37
VARIANT = "variant"
INTEGERS = {"int2": 5, "int4": 10, "int8": 19, "oid": 10, "xid8": 20}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """`stage` gives the text to stage; `load` is the expression for the value, where `{x}` stands for that text."""

    sql: str
    stage: Callable[[bytes], str]
    load: str
    text: values.Text
    form: str = TEXT
    exact: bool = True
    read: str = "{x}"
    """The expression that is read for `text`."""

    def load_of(self, x: str) -> str:
        return self.load.replace("{x}", x)


def stage_text(cell: bytes) -> str:
    return cell.decode()


def stage_bool(cell: bytes) -> str:
    return "true" if cell == b"t" else "false"


def stage_bytes(cell: bytes) -> str:
    return cell[2:].decode()


def stage_float(cell: bytes) -> str:
    return {b"NaN": "NaN", b"Infinity": "inf", b"-Infinity": "-inf"}.get(cell) or cell.decode()


def stage_time(cell: bytes) -> str:
    if cell.startswith(b"24"):
        raise Unkeepable("24:00:00")
    return values.load_time(cell)


def stage_timestamptz(cell: bytes) -> str:
    return values.load_timestamptz(cell) + "+00:00"


def stage_number(digits: int, decimals: int) -> Callable[[bytes], str]:
    check = values.load_decimal(digits, decimals)

    def stage(cell: bytes) -> str:
        check(cell)
        return cell.decode()

    return stage


def stage_json(cell: bytes) -> str:
    """For VARIANT: what it would lose is refused."""

    def number(text: str) -> None:
        if (
            len(text.lstrip("-").replace(".", "").lower().split("e")[0].lstrip("0")) > MAX_DIGITS
            or "e" in text.lower()
        ):
            raise Unkeepable("a number in JSON that VARIANT does not keep")

    def pairs(found: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in found}) < len(found):
            raise Unkeepable("a JSON object with one key twice")

    text = cell.decode()
    json.loads(text, parse_float=number, parse_int=number, object_pairs_hook=pairs)
    return text


def text_float(value: Any) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return values.text_float(value)


def _cast(sql: str, stage: Callable[[bytes], str], text: values.Text, **more: Any) -> ColumnType:
    return ColumnType(sql, stage, f"({{x}})::{sql}", text, **more)


def integer(digits: int) -> ColumnType:
    return _cast(f"NUMBER({digits},0)", stage_text, str)


TEXTUAL = ColumnType("VARCHAR", stage_text, "{x}", values.text_as_it_is)
VARIANTS = ColumnType("VARIANT", stage_json, "PARSE_JSON({x})", values.text_as_it_is, VARIANT, exact=False)
KINDS: Mapping[str, ColumnType] = {
    "bool": _cast("BOOLEAN", stage_bool, values.text_bool),
    **{name: integer(digits) for name, digits in INTEGERS.items()},
    "float4": _cast(
        "FLOAT",
        stage_float,
        lambda v: values.text_float4(v) if v == v and abs(v) != float("inf") else text_float(v),
        form=FLOAT,
        exact=False,
    ),
    "float8": _cast("FLOAT", stage_float, text_float, form=FLOAT, exact=False),
    "bytea": ColumnType("BINARY", stage_bytes, "TO_BINARY({x}, 'HEX')", values.text_bytes),
    "date": _cast("DATE", values.load_date, values.text_date),
    "time": _cast("TIME(6)", stage_time, values.text_time),
    "timestamp": _cast("TIMESTAMP_NTZ(6)", values.load_timestamp, values.text_timestamp, read="{x}::VARCHAR"),
    "timestamptz": _cast(
        "TIMESTAMP_TZ(6)",
        stage_timestamptz,
        values.text_timestamptz,
        read="CONVERT_TIMEZONE('UTC', {x})::TIMESTAMP_NTZ(6)::VARCHAR",
    ),
}
"""A kind that is not here is text."""
JSON = ("json", "jsonb")


def column_type(table: Table, column: Column, settings: Settings) -> ColumnType:
    """How this column is kept: its kind's row in the table, unless a rule of the settings says otherwise."""
    override = settings.columns.get(f"{table.configured_name}.{column.name}")
    if override is not None:
        return limited(_override(table, column, override), settings)
    return limited(logical(column.type, settings), settings)


def logical(kind: LogicalType, settings: Settings) -> ColumnType:
    if kind.kind == "numeric":
        return numeric(kind.precision, kind.scale, settings.unconstrained_numeric)
    if kind.kind in JSON and settings.json == VARIANT:
        return VARIANTS
    if kind.kind == "array" and settings.arrays == VARIANT and kind.element is not None:
        return replace(VARIANTS, stage=_stage_array(kind.element.kind))
    return KINDS.get(kind.kind, TEXTUAL)


def numeric(precision: int | None, scale: int | None, unconstrained: str) -> ColumnType:
    """NUMBER as far as its 38 digits go; beyond, and without precision unless the rule says otherwise, text."""
    decimals = max(scale or 0, 0)
    whole = max((precision or 0) - (scale or 0), 0)
    if precision is not None and whole + decimals <= MAX_DIGITS and decimals <= MAX_DECIMALS:
        return number(max(whole + decimals, 1), decimals)
    digits = re.findall(r"\d+", unconstrained)
    if not digits:
        return TEXTUAL
    return replace(number(int(digits[0]), int(digits[1])), text=values.text_number, form=NUMBER, exact=False)


def number(digits: int, decimals: int) -> ColumnType:
    def text(value: Any) -> str:
        return values.text_decimal(Decimal(value).quantize(Decimal(1).scaleb(-decimals)))

    return _cast(f"NUMBER({digits},{decimals})", stage_number(digits, decimals), text if decimals else str)


def limited(kept: ColumnType, settings: Settings) -> ColumnType:
    """With the limit of Snowflake's on the size of values."""
    if kept.sql not in ("VARCHAR", "BINARY", "VARIANT"):
        return kept
    most, stage = settings.largest_value, kept.stage

    def checked(cell: bytes) -> str:
        if len(cell) > most:
            raise Unkeepable(f"{len(cell)} bytes, more than largest_value")
        return stage(cell)

    return replace(kept, stage=checked)


def _stage_array(element: str) -> Callable[[bytes], str]:
    from connectors.sql.arrays import Unlistable, to_json

    def stage(cell: bytes) -> str:
        try:
            return stage_json(to_json(cell, element))
        except Unlistable as error:
            raise Unkeepable(str(error)) from None

    return stage


def _override(table: Table, column: Column, wanted: str) -> ColumnType:
    digits = re.fullmatch(r"NUMBER\((\d{1,2}), ?(\d{1,2})\)", wanted.upper())
    if wanted.upper() in ("VARCHAR", "TEXT"):
        return TEXTUAL
    if wanted.upper() == "VARIANT" and column.type.kind in JSON:
        return VARIANTS
    if (
        digits
        and column.type.kind == "numeric"
        and int(digits[2]) <= min(int(digits[1]), MAX_DECIMALS)
        and int(digits[1]) <= MAX_DIGITS
    ):
        return numeric(None, None, wanted)
    raise ConfigError(
        f"{column.type_name or column.type.kind} cannot be kept as {wanted}",
        where=f'[warehouses.….columns] "{table.full_name}.{column.name}"',
        hint='"VARCHAR" keeps the text of any type; numerics can be "NUMBER(p,s)", JSON "VARIANT"',
    )
