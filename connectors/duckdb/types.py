"""LogicalType → DuckDB: the column's type, the expression that loads PostgreSQL's text, and the one that gives it back.

`KINDS` is the whole table. In `load` and `text`, `{x}` stands for the text, or for the value in DuckDB. What a cast
would alter in silence is guarded: a guard turns the text into one that the cast refuses. The rules for what has no natural place
(settings `unconstrained_numeric`, `arrays`, `columns`) are in `column_type`; a value that a cast refuses meets `unrepresentable`.

`text` gives the value's text in the column's `form` (see `cdc.digest`): PostgreSQL's own, but for floats, which DuckDB
prints by other rules, and for numerics whose number of decimals was not kept. `exact` says that two values are equal in
DuckDB if and only if their texts are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cdc.errors import ConfigError
from cdc.events import Cell
from cdc.schema import Column, LogicalType, Table
from connectors.duckdb.interval import INTERVAL_TEXT
from connectors.duckdb.settings import Settings
from connectors.sql.arrays import json_text

MAX_DIGITS = 38  # of DuckDB's DECIMAL


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How one column is kept. `sql` is the type as DuckDB prints it; `array`, how the loader must prepare its text.

    `usual` loads texts, among spaces, in which the expression `unusual` finds nothing: in merges of few rows each function that
    `load` calls costs as much as ten rows.
    """

    sql: str
    load: str = "{x}"
    text: str = "{x}"
    exact: bool = True
    form: str = "text"
    array: str = ""
    usual: str = ""
    unusual: bytes = b""

    def is_usual(self, cells: Sequence[Cell]) -> bool:
        """Whether these texts are loaded as well without what only few of the type's need."""
        return (
            not self.unusual
            or re.search(self.unusual, b" ".join(cell for cell in cells if isinstance(cell, bytes))) is None
        )

    def load_of(self, x: str, *, usual: bool = False) -> str:
        """The expression for the value whose text is the expression `x`."""
        return (self.usual or self.load if usual else self.load).replace("{x}", x)

    def text_of(self, x: str) -> str:
        """The expression for the text of the value `x`; NULL for NULL."""
        return self.text.replace("{x}", x)


AS_IT_IS = "{x}"
PRINTED = "({x})::VARCHAR"
BC_DATE = "replace({x}, ' BC', ' (BC)')::DATE"
# '0044-03-15 01:02:03 BC' would lose its BC as a TIMESTAMP; DuckDB wants it behind the date.
BC_TIME = (
    r"(CASE WHEN suffix({x}, ' BC') THEN regexp_replace({x}, '^(\S+) (.*) BC$', '\1 (BC) \2') ELSE {x} END)"
)
BC_TEXT = (
    "(CASE WHEN contains(({x})::VARCHAR, ' (BC)') THEN replace(({x})::VARCHAR, ' (BC)', '') || ' BC'"
    " ELSE ({x})::VARCHAR END)"
)
FLOAT_TEXT = (
    "(CASE WHEN isnan({x}) THEN 'NaN' WHEN {x} = 'Infinity'::DOUBLE THEN 'Infinity'"
    " WHEN {x} = '-Infinity'::DOUBLE THEN '-Infinity' ELSE printf('%.16e', ({x})::DOUBLE) END)"
)

TEXT = ColumnType("VARCHAR")

KINDS: Mapping[str, ColumnType] = {
    "bool": ColumnType("BOOLEAN", "{x}::BOOLEAN", "(CASE {x} WHEN true THEN 't' WHEN false THEN 'f' END)"),
    "int2": ColumnType("SMALLINT", "{x}::SMALLINT", PRINTED),
    "int4": ColumnType("INTEGER", "{x}::INTEGER", PRINTED),
    "int8": ColumnType("BIGINT", "{x}::BIGINT", PRINTED),
    "oid": ColumnType("UINTEGER", "{x}::UINTEGER", PRINTED),
    "xid8": ColumnType("UBIGINT", "{x}::UBIGINT", PRINTED),
    "float4": ColumnType("FLOAT", "{x}::FLOAT", FLOAT_TEXT, exact=False, form="float"),  # 0 = -0
    "float8": ColumnType("DOUBLE", "{x}::DOUBLE", FLOAT_TEXT, exact=False, form="float"),
    "numeric": TEXT,  # without precision; with one, see `decimal`
    "money": TEXT,  # its text follows the source's locale
    "text": TEXT,
    "varchar": TEXT,
    "char": TEXT,  # padded, as PostgreSQL sends it
    "bytea": ColumnType("BLOB", "unhex(substr({x}, 3))", r"('\x' || lower(hex({x})))"),
    "bit": ColumnType("BIT", "{x}::BIT", PRINTED),
    "varbit": TEXT,  # DuckDB's BIT cannot be empty: B'' would become 0
    "uuid": ColumnType("UUID", "{x}::UUID", PRINTED),
    "json": ColumnType("JSON", "{x}::JSON", PRINTED),  # compared, and kept, as text
    "jsonb": ColumnType("JSON", "{x}::JSON", PRINTED),
    "jsonpath": TEXT,
    "xml": TEXT,
    "date": ColumnType(
        "DATE", BC_DATE, "replace(({x})::VARCHAR, ' (BC)', ' BC')", usual="{x}::DATE", unusual=b"BC"
    ),
    "time": ColumnType("TIME", "{x}::TIME", PRINTED),
    "timetz": ColumnType("TIME WITH TIME ZONE", "{x}::TIMETZ", PRINTED),
    "timestamp": ColumnType(
        "TIMESTAMP", f"{BC_TIME}::TIMESTAMP", BC_TEXT, usual="{x}::TIMESTAMP", unusual=b"BC"
    ),
    "timestamptz": ColumnType(
        "TIMESTAMP WITH TIME ZONE",
        f"{BC_TIME}::TIMESTAMPTZ",
        BC_TEXT,
        usual="{x}::TIMESTAMPTZ",
        unusual=b"BC",
    ),
    "interval": ColumnType(
        "INTERVAL", "replace({x}, '+', '')::INTERVAL", INTERVAL_TEXT, exact=False
    ),  # 1 mon = 30 days
    **dict.fromkeys(("inet", "cidr", "macaddr", "macaddr8", "pg_lsn", "tsvector", "tsquery"), TEXT),
    **dict.fromkeys(("point", "line", "lseg", "box", "path", "polygon", "circle"), TEXT),
    "array": TEXT,  # see `array`
    **dict.fromkeys(("range", "multirange", "enum", "composite"), TEXT),
    **dict.fromkeys(("citext", "hstore", "ltree", "geometry", "geography"), TEXT),
    **dict.fromkeys(("vector", "halfvec", "sparsevec"), TEXT),
    "unknown": TEXT,
}


def column_type(table: Table, column: Column, settings: Settings) -> ColumnType:
    """How this column is kept: its kind's row in the table, unless a rule of the settings says otherwise."""
    override = settings.columns.get(f"{table.configured_name}.{column.name}")
    if override is not None:
        return _override(table, column, override)
    return logical(column.type, settings)


def logical(kept: LogicalType, settings: Settings) -> ColumnType:
    """How values of a type are kept under these rules."""
    if kept.kind == "numeric":
        return numeric(kept.precision, kept.scale, settings.unconstrained_numeric)
    if kept.kind == "array" and kept.element is not None:
        return array(kept.element, settings)
    return KINDS.get(kept.kind, TEXT)


def numeric(precision: int | None, scale: int | None, unconstrained: str) -> ColumnType:
    """DECIMAL as far as its digits go; beyond, and without precision unless the rule says otherwise, text."""
    if precision is None:
        digits = re.findall(r"\d+", unconstrained)
        if not digits:
            return TEXT
        kept = decimal(int(digits[0]), int(digits[1]))
        # PostgreSQL prints as many decimals as a value was written with, which a DECIMAL forgets.
        return replace(kept, text=_trimmed(kept.text), form="number")
    whole = max(precision - (scale or 0), 0)
    decimals = max(scale or 0, 0)
    return decimal(max(whole + decimals, 1), decimals) if whole + decimals <= MAX_DIGITS else TEXT


def decimal(digits: int, decimals: int) -> ColumnType:
    """DECIMAL(digits,decimals), whose cast would round: a text with more decimals is turned into one it refuses."""
    guarded = (
        f"(CASE WHEN length({{x}}) - coalesce(nullif(instr({{x}}, '.'), 0), length({{x}})) > {decimals}"
        " THEN 'too many decimals' ELSE {x} END)"
    )
    text = PRINTED
    if digits == decimals:  # DuckDB prints .5
        text = r"regexp_replace(({x})::VARCHAR, '^(-?)[.]', '\10.')"
    sql = f"DECIMAL({digits},{decimals})"
    too_many = rb"\.[^ ]{%d}|[^-. 0-9]" % (decimals + 1)
    return ColumnType(sql, f"{guarded}::{sql}", text, usual=f"{{x}}::{sql}", unusual=too_many)


def _trimmed(text: str) -> str:
    return f"(CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END)"


def array(element: LogicalType, settings: Settings) -> ColumnType:
    """A LIST of what the element is kept as; the loader takes PostgreSQL's text apart, so `{x}` is a list of texts."""
    if settings.arrays == "text" or element.kind in ("array", "box"):  # boxes stand between semicolons
        return TEXT
    if settings.arrays == "json":
        return ColumnType("JSON", "{x}::JSON", json_text(element.kind), array="json")
    kept = logical(element, settings)
    load = (
        f"{{x}}::{kept.sql}[]"
        if kept.load in (f"{{x}}::{kept.sql}", AS_IT_IS)
        else (f"list_transform({{x}}, lambda e: {kept.load_of('e')})::{kept.sql}[]")
    )
    texts = f"list_transform({{x}}, lambda e: {kept.text_of('e')})"
    # As PostgreSQL's array_out: quotes where they are needed, and backslashes in them.
    quoted = (
        r"""CASE WHEN e = '' OR upper(e) = 'NULL' OR regexp_matches(e, '[{}",\\\x09-\x0d ]')"""
        r""" THEN '"' || regexp_replace(e, '(["\\])', '\\\1', 'g') || '"' ELSE coalesce(e, 'NULL') END"""
    )
    text = f"('{{' || array_to_string(list_transform({texts}, lambda e: {quoted}), ',') || '}}')"
    return ColumnType(f"{kept.sql}[]", load, text, kept.exact, kept.form, array="list")


def _override(table: Table, column: Column, wanted: str) -> ColumnType:
    where = f'[warehouses.….columns] "{table.full_name}.{column.name}"'
    digits = re.fullmatch(r"DECIMAL\((\d{1,2}), ?(\d{1,2})\)", wanted.upper())
    if wanted.upper() in ("VARCHAR", "TEXT"):
        return TEXT
    if digits and column.type.kind == "numeric" and int(digits[2]) <= int(digits[1]) <= MAX_DIGITS:
        return numeric(None, None, wanted)
    raise ConfigError(
        f"{column.type_name or column.type.kind} cannot be kept as {wanted}",
        where=where,
        hint='"VARCHAR" keeps the text of any type; numerics can be "DECIMAL(p,s)"',
    )
