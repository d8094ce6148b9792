"""The two output plugins, each with what a stream of it needs: the options of START_REPLICATION and a feed.

pgoutput streams the publication, which names the tables. wal2json is told them by name, and asked whether it knows the option
that keeps NaN and infinities of numbers (from version 2.6 on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from cdc.config import SourceSettings
from cdc.source import pgoutput
from cdc.source.assemble import Assembler, Describe
from cdc.source.catalog import Catalog
from cdc.source.connect import Connection, Side
from cdc.source.feed import Feed, PgoutputFeed, feed
from cdc.source.publication import TableName
from cdc.tables import TableFacts

MESSAGES_SINCE = 140000  # the server version whose pgoutput knows the option
PROBE = "select count(*) from pg_logical_slot_peek_changes(%s, '0/1', 1, variadic %s::text[])"


def plugin(
    settings: SourceSettings, side: Side, describe: Describe, tables: Sequence[TableName]
) -> tuple[Feed, Mapping[str, str]]:
    """The feed and the options for the plugin of the settings."""
    if settings.plugin == "wal2json":
        return _wal2json(settings, side, describe, tables)
    return _pgoutput(settings, side, describe)


def _pgoutput(settings: SourceSettings, side: Side, describe: Describe) -> tuple[Feed, Mapping[str, str]]:
    version = side.run("cannot reach the source", lambda connection: connection.info.server_version)
    options = {**pgoutput.OPTIONS, "publication_names": sql.Identifier(settings.publication).as_string()}
    if version < MESSAGES_SINCE:
        del options["messages"]
    return PgoutputFeed(Assembler(describe)), options


def _wal2json(
    settings: SourceSettings, side: Side, describe: Describe, tables: Sequence[TableName]
) -> tuple[Feed, Mapping[str, str]]:
    from cdc.source import wal2json

    options = {**wal2json.OPTIONS, **wal2json.add_tables(tables)}
    numbers_as_text = side.run(
        "cannot ask wal2json", lambda connection: _knows_numbers(connection, settings.slot)
    )
    if numbers_as_text:
        options |= wal2json.NUMBERS_AS_TEXT

    def facts_of(schema: str, table: str) -> TableFacts | None:
        what = f"cannot describe table {schema}.{table}"
        return side.run(what, lambda connection: Catalog(connection).facts(TableName(schema, table)))

    decode = wal2json.Wal2jsonDecoder(
        facts_of,
        numbers_as_text=numbers_as_text,
        null_numbers=settings.wal2json_null_numbers == "null",
    )
    return feed(decode, Assembler(describe)), options


def _knows_numbers(connection: Connection, slot: str) -> bool:
    """Peeks at nothing, with the option."""
    from cdc.source import wal2json

    given = [text for option in (wal2json.OPTIONS | wal2json.NUMBERS_AS_TEXT).items() for text in option]
    try:
        connection.execute(PROBE, [slot, given])
    except psycopg.errors.InvalidParameterValue:
        return False
    return True
