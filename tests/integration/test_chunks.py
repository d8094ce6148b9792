"""The bounds of chunks, on a server: as many rows as asked, in the order of the key's own type."""

from __future__ import annotations

from cdc.config import SourceSettings
from cdc.source.catalog import Catalog
from cdc.source.chunks import Part
from cdc.source.connect import connect
from cdc.source.lookup import from_clause
from tests.fixtures.postgres import Database


def test_a_chunk_has_as_many_rows_as_asked_in_the_order_of_numbers(database: Database) -> None:
    database.execute("create table t (id int primary key); insert into t select generate_series(1, 250)")
    with connect(SourceSettings(dsn=database.dsn)) as connection:
        table = Catalog(connection).table("public", "t")
        part = Part(table, from_clause(table, "r"))
        bounds = [part.last_key(connection, after, 100) for after in (None, ["100"], ["200"])]
    assert bounds == [["100"], ["200"], None]
