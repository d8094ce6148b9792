"""What Snowflake is told, as text: for what no server but its own can be tried with."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cdc.schema import Column, LogicalType, Table
from cdc.testing.targets import KEYED, checkpoint
from connectors.snowflake import Settings
from connectors.snowflake.catalog import Catalog, Present
from connectors.snowflake.dialect import SnowflakeDialect
from connectors.snowflake.session import Session
from connectors.snowflake.sql import Plan, literal
from connectors.snowflake.types import column_type
from connectors.sql.marks import Compiled, Marks
from connectors.sql.values import Unkeepable

SETTINGS = Settings(account="a", user="u", database="D", authenticator="external_browser")


def settings(**more: Any) -> Settings:
    return Settings(account="a", user="u", database="D", **more)


def kept(kind: str, **more: Any) -> Any:
    rules = {
        name: more.pop(name)
        for name in ("json", "arrays", "unconstrained_numeric", "largest_value")
        if name in more
    }
    table = Table("public", "t", (Column("c", LogicalType(kind, **more)),))
    return column_type(table, table.columns[0], replaced(rules))


def replaced(rules: dict[str, Any]) -> Settings:
    return settings(**rules)


def plan(table: Table = KEYED) -> Plan:
    return Plan(table, "_cdc", tuple(column_type(table, column, SETTINGS) for column in table.columns))


def test_one_merge_deletes_updates_and_inserts() -> None:
    text = plan().merge
    assert text.startswith(
        'MERGE INTO "public"."keyed" t USING (SELECT (s.C0)::NUMBER(19,0) AS V0, s.C1 AS V1'
    )
    assert (
        "ON t.\"id\" = s.V0 WHEN MATCHED AND s.OP = 'd' THEN DELETE WHEN MATCHED AND s.OP = 'u' THEN UPDATE"
        in text
    )
    assert "WHEN NOT MATCHED AND s.OP = 'u' THEN INSERT" in text


def test_staging_tables_are_named_by_their_shape() -> None:
    wider = replace(KEYED, columns=(*KEYED.columns, Column("n", LogicalType("int4"))))
    assert plan().stage != plan(wider).stage
    assert plan().stage == plan(replace(KEYED)).stage
    beside = replace(
        plan(), extras=(("n", "NUMBER(10,0)"),)
    )  # the older shape of that table: fewer columns are staged
    assert beside.stage != plan(wider).stage
    assert all(text.startswith("CREATE TRANSIENT TABLE IF NOT EXISTS") for text in plan().create)


@pytest.mark.parametrize(
    ("kind", "text", "constant"),
    [
        ("text", b"it's \\", "'it''s \\\\'"),
        ("int4", b"-7", "-7"),
        ("bool", b"t", "true"),
        ("float8", b"1.5", "1.5"),
        ("float8", b"NaN", "'NaN'"),
        ("bytea", b"\\x00ff", "X'00ff'"),
        ("date", b"2026-01-31", "'2026-01-31'"),
        ("timestamptz", b"2026-01-31 00:00:00+00", "'2026-01-31 00:00:00+00:00'"),
    ],
)
def test_a_column_is_added_with_a_constant_as_its_default(kind: str, text: bytes, constant: str) -> None:
    [statement] = added(Column("c", LogicalType(kind), missing=text))
    assert statement.endswith(f" DEFAULT {constant}")


def test_a_variant_is_filled_before_it_has_its_name() -> None:
    new = '"public"."keyed" ADD COLUMN IF NOT EXISTS "_cdc_new_c" VARIANT'
    assert added(Column("c", LogicalType("jsonb"), missing=b"[1]"), json="variant") == [
        f"ALTER TABLE {new}",
        """UPDATE "public"."keyed" SET "_cdc_new_c" = PARSE_JSON('[1]')""",
        'ALTER TABLE "public"."keyed" RENAME COLUMN "_cdc_new_c" TO "c"',
    ]


def added(column: Column, **more: Any) -> list[str]:
    class Described(Catalog):
        def present(self, table: Table) -> dict[str, Present]:
            return {c.name: Present(column_type(KEYED, c, SETTINGS).sql, True) for c in KEYED.columns}

    return Described(Session(SETTINGS), settings(**more)).evolve(
        replace(KEYED, columns=(*KEYED.columns, column))
    )


def test_backslashes_in_literals_are_escaped() -> None:
    assert literal("it's \\") == "'it''s \\\\'"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("timestamp", b"infinity"),
        ("timestamptz", b"0044-03-15 00:00:00+00 BC"),
        ("date", b"10000-01-01"),
        ("time", b"24:00:00"),
        ("text", b"x" * 101),
        ("bytea", b"\\x" + b"00" * 50),
    ],
)
def test_what_has_no_exact_place_is_refused(kind: str, text: bytes) -> None:
    with pytest.raises(Unkeepable):
        kept(kind, largest_value=100).stage(text)


def test_numbers() -> None:
    assert kept("numeric", precision=38, scale=10).sql == "NUMBER(38,10)"
    assert kept("numeric", precision=39, scale=1).sql == "VARCHAR"
    assert kept("numeric").sql == "VARCHAR"
    assert kept("numeric", unconstrained_numeric="number(38,9)").sql == "NUMBER(38,9)"
    for refused in (b"NaN", b"1.234", b"123456.00"):
        with pytest.raises(Unkeepable):
            kept("numeric", precision=5, scale=2).stage(refused)
    assert kept("numeric", precision=5, scale=2).stage(b"-0.10") == "-0.10"


def test_documents_as_variant_lose_nothing() -> None:
    variant = kept("jsonb", json="variant")
    assert (variant.sql, variant.load_of("s.C1")) == ("VARIANT", "PARSE_JSON(s.C1)")
    assert variant.stage(b'{"a": [1, 2.5, null]}') == '{"a": [1, 2.5, null]}'
    for refused in (b'{"a": 1, "a": 2}', b"1e400", b"1" * 39):
        with pytest.raises(Unkeepable):
            variant.stage(refused)
    array = kept("array", element=LogicalType("int4"), arrays="variant")
    assert array.stage(b"{1,NULL}") == "[1,null]"


def test_the_tables_of_marks_are_named_as_everything_else() -> None:
    """Unquoted names would be in capitals, in another schema than the stage and the staging tables."""
    told = []

    def execute(statement: Any, values: Any) -> Any:
        told.append(Compiled(SnowflakeDialect())(statement, values)[0])
        return SimpleNamespace(fetchall=list)

    marks = Marks(execute, schema="_cdc")
    marks.create()
    marks.read()
    marks.write(checkpoint(1, control=b""))
    assert told[0] == 'CREATE SCHEMA IF NOT EXISTS "_cdc"'
    assert len(told) == 10
    assert all('"_cdc"."' in text for text in told[1:])
