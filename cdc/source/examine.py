"""Looks at a server with the eyes of `cdc check`: facts only, read without changing anything; `preflight.py` judges them."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from cdc.config import SourceSettings
from cdc.errors import SourceError
from cdc.source import connect
from cdc.source.catalog import Candidate, Catalog
from cdc.source.connect import Connection
from cdc.source.failures import explain
from cdc.source.publication import Publication, read_publication
from cdc.source.slot import SlotInfo, read_slot


class PartFacts(msgspec.Struct, frozen=True):
    """A captured table or one of its partitions: `identity` is relreplident, `usable` whether it leads to old rows.

    `unique_index` is one that could serve as the identity, quoted; empty: there is none.
    """

    name: str
    identity: str
    usable: bool
    unique_index: str


class CapturedFacts(msgspec.Struct, frozen=True):
    """A captured table: its parts are itself, or its partitions. `filtered`: row-level security hides rows from us."""

    candidate: Candidate
    parts: list[PartFacts]
    schema_usage: bool
    select: bool
    owner: bool
    filtered: bool
    primary_key: bool


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is asked of the server."""

    version: int
    """13, 18, …"""
    settings: dict[str, str | None]
    """Of pg_settings, in its units; those that this version lacks are missing."""
    database: str
    role: str
    superuser: bool
    replication: bool
    rds: bool
    """There is a role rds_replication: this is Amazon's."""
    create_on_database: bool
    in_recovery: bool
    slots_used: int
    senders_used: int
    existing: list[str]
    """Tables that are there, whatever the globs say; a few."""
    candidates: list[Candidate]
    captured: list[CapturedFacts]
    publication: Publication | None
    publication_owner: bool
    row_filters: list[str]
    slot: SlotInfo | None
    replication_error: SourceError | None
    """Why a replication connection cannot be opened."""
    plugin_error: str
    """Why the output plugin cannot be loaded; empty if it can, or was not tried."""


SETTINGS = [
    *(
        "wal_level",
        "max_replication_slots",
        "max_wal_senders",
        "wal_sender_timeout",
        "max_slot_wal_keep_size",
    ),
    *("idle_replication_slot_timeout", "server_encoding", "output_plugin_libraries"),
]

SERVER = """
    select current_setting('server_version_num')::int / 10000 as version,
           (select jsonb_object_agg(name, setting) from pg_settings where name = any (%s)) as settings,
           current_database() as database, rolname::text as role, rolsuper as superuser,
           rolsuper or rolreplication or exists (
               select from pg_roles rds where rds.rolname = 'rds_replication' and pg_has_role(rds.oid, 'usage')
           ) as replication,
           exists (select from pg_roles where rolname = 'rds_replication') as rds,
           has_database_privilege(current_database(), 'create') as create_on_database,
           pg_is_in_recovery() as in_recovery,
           (select count(*) from pg_replication_slots) as slots_used,
           (select count(*) from pg_stat_replication) as senders_used
    from pg_roles where rolname = current_user"""

CAPTURED = """
    select has_schema_privilege(relnamespace, 'usage'), has_table_privilege(oid, 'select'),
           pg_has_role(relowner, 'usage'), row_security_active(oid),
           exists (select from pg_index where indrelid = pg_class.oid and indisprimary)
    from pg_class where oid = %s"""

# A primary key that is deferrable is no replica identity.
PARTS = """
    select format('%%I.%%I', n.nspname, c.relname), c.relreplident,
           case c.relreplident
               when 'f' then true
               when 'n' then false
               else exists (select from pg_index i where i.indrelid = c.oid and i.indimmediate and i.indisvalid
                            and case c.relreplident when 'd' then i.indisprimary else i.indisreplident end)
           end,
           coalesce((select quote_ident(x.relname) from pg_index i join pg_class x on x.oid = i.indexrelid
                     where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
                       and i.indpred is null and i.indexprs is null
                       and not exists (select from pg_attribute a where a.attrelid = c.oid
                                       and a.attnum = any (i.indkey) and not a.attnotnull)
                     order by i.indnkeyatts, x.relname limit 1), '')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and (c.oid = %(oid)s or c.oid in (select relid from pg_partition_tree(%(oid)s)))
    order by 1"""

ROW_FILTERS = """
    select format('%%I.%%I', schemaname, tablename) from pg_publication_tables
    where pubname = %s and rowfilter is not null"""

PUBLICATION_OWNER = "select pg_has_role(pubowner, 'usage') from pg_publication where pubname = %s"


def examine(connection: Connection, settings: SourceSettings) -> ServerFacts:
    """Ask everything. Raises psycopg.Error only for what nobody is refused."""
    server = connection.cursor(row_factory=dict_row).execute(SERVER, [SETTINGS])
    row: dict[str, Any] = server.fetchone() or {}
    catalog = Catalog(connection)
    candidates = catalog.candidates(settings)
    everything = catalog.candidates(msgspec.structs.replace(settings, tables=["*"], exclude_tables=[]))
    publication = read_publication(connection, settings.publication)
    owner = connection.execute(PUBLICATION_OWNER, [settings.publication]).fetchone()
    filters = connection.execute(ROW_FILTERS, [settings.publication]) if row["version"] >= 15 else ()
    slot = read_slot(connection, settings.slot)
    return ServerFacts(
        **row,
        existing=[str(each) for each in everything[:10]],
        candidates=candidates,
        captured=[_captured(connection, each) for each in candidates if not each.reason_not],
        publication=publication,
        publication_owner=bool(owner and owner[0]),
        row_filters=[name for (name,) in filters],
        slot=slot,
        replication_error=_replication_error(settings) if row["replication"] else None,
        plugin_error=_plugin_error(connection, settings) if row["replication"] and slot is None else "",
    )


def _captured(connection: Connection, candidate: Candidate) -> CapturedFacts:
    parts = [PartFacts(*part) for part in connection.execute(PARTS, {"oid": candidate.oid})]
    return CapturedFacts(candidate, parts, *connection.execute(CAPTURED, [candidate.oid]).fetchone() or ())


def _replication_error(settings: SourceSettings) -> SourceError | None:
    try:
        connection = connect.connect_replication(settings)
    except SourceError as error:
        return error
    try:
        connection.execute("IDENTIFY_SYSTEM")
    except psycopg.Error as error:
        return explain(error, "cannot talk to a walsender", where=connect.where(settings))
    finally:
        connection.close()
    return None


def _plugin_error(connection: Connection, settings: SourceSettings) -> str:
    """Try the plugin on a temporary slot. The server loads it first, and then waits for transactions: not we."""
    try:
        with connection.transaction():
            connection.execute("set local statement_timeout = '1s'")
            connection.execute(
                "select pg_create_logical_replication_slot('cdc_check_' || pg_backend_pid(), %s, true)",
                [settings.plugin],
            )
    except psycopg.errors.QueryCanceled:
        return ""
    except psycopg.Error as error:
        if error.sqlstate in ("58P01", "42704", "42501", "22023", "42883"):
            return error.diag.message_primary or str(error)
        return ""  # no slot is free, wal_level …: other checks say so
    with contextlib.suppress(psycopg.Error):
        connection.execute("select pg_drop_replication_slot('cdc_check_' || pg_backend_pid())")
    return ""
