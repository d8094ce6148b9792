"""Columns of Snowflake's own kinds: documents as VARIANT, and what rows show in a column that was added."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import msgspec

from cdc.events import UNSENT, Row
from cdc.merge import Merge, Patch
from cdc.schema import Column, LogicalType, Table
from cdc.testing.targets import ID, put, row
from connectors import snowflake
from connectors.snowflake.view import SnowflakeView
from connectors.snowflake.warehouse import SnowflakeWarehouse
from tests.fixtures.snowflake import Account

VALUES = {
    "doc": (LogicalType("jsonb"), '{"a":"it\'s \\\\ x"}'),
    "items": (LogicalType("array", element=LogicalType("int4")), "{1,NULL}"),
    "flag": (LogicalType("bool"), "t"),
    "amount": (LogicalType("numeric", precision=5, scale=2), "-1.50"),
    "ratio": (LogicalType("float8"), "1.5000000000000000e+00"),  # as floats are compared
    "nothing": (LogicalType("float8"), "NaN"),
    "bytes": (LogicalType("bytea"), "\\x00ff"),
    "day": (LogicalType("date"), "2026-01-31"),
    "hour": (LogicalType("time"), "23:59:59.5"),
    "moment": (LogicalType("timestamp"), "2026-01-31 01:02:03.000004"),
    "instant": (LogicalType("timestamptz"), "2026-01-31 01:02:03.5+00"),
}
NARROW = Table("public", "added", (ID,), primary_key=(0,), identity=(0,))


def shown(warehouse: SnowflakeWarehouse, table: Table) -> list[Row]:
    with closing(warehouse.view()) as view:
        assert isinstance(view, SnowflakeView)
        return sorted(map(tuple, view.texts(table)), key=repr)


def test_rows_of_the_older_shape_show_what_the_source_shows(snowflake_account: Account) -> None:
    """Those that were there, and those that come after the column."""
    warehouse = snowflake.connect(snowflake_account.settings(), "snow")
    added = [Column(name, kind, missing=text.encode()) for name, (kind, text) in VALUES.items()]
    wide = replace(NARROW, columns=(ID, *added))
    put(warehouse, Merge(NARROW, upserts=[row("1")]))
    put(warehouse, Merge(wide, upserts=[row("2", *[None] * len(added))]), lsn=2)
    put(warehouse, Merge(NARROW, upserts=[row("3")]), lsn=3)
    before = [text for _, text in VALUES.values()]
    assert shown(warehouse, wide) == [row("1", *before), row("2", *[None] * len(added)), row("3", *before)]
    warehouse.close()


def test_a_table_that_is_made_in_the_newer_shape_has_its_defaults(snowflake_account: Account) -> None:
    """A copy begun anew sees the column before the stream does."""
    warehouse = snowflake.connect(snowflake_account.settings(), "snow")
    wide = replace(NARROW, columns=(ID, Column("n", LogicalType("int4"), missing=b"7")))
    put(warehouse, Merge(wide))
    put(warehouse, Merge(NARROW, upserts=[row("1")]), lsn=2)
    assert shown(warehouse, wide) == [row("1", "7")]
    warehouse.close()


def test_documents_as_variant(snowflake_account: Account) -> None:
    settings = msgspec.structs.replace(snowflake_account.settings(), json="variant", arrays="variant")
    warehouse = snowflake.connect(settings, "snow")
    doc, items = (Column(name, VALUES[name][0]) for name in ("doc", "items"))
    table = replace(NARROW, columns=(ID, doc, items))
    put(
        warehouse,
        Merge(table, upserts=[row("1", '{"a": [1, 2.5, null], "b": "x"}', "{1,NULL}"), row("2", None, None)]),
    )
    put(warehouse, Merge(table, patches=[Patch((b"1", UNSENT, b"{5}"), (b"1",))]), lsn=2)
    late = replace(table, columns=(*table.columns, Column("late", doc.type, missing=b'{"x": "it\'s"}')))
    put(warehouse, Merge(late, upserts=[row("3", "[]", None, "1")]), lsn=3)
    found = snowflake_account.execute(
        'SELECT "id", "doc":a[1], "items"[0], "late":x FROM "public"."added" ORDER BY "id"'
    )
    assert [tuple(each) for each in found] == [
        (1, "2.5", "5", '"it\'s"'),
        (2, None, None, '"it\'s"'),
        (3, None, None, None),
    ]
    warehouse.close()
