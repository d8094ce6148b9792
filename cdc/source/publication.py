"""The publication: which tables pgoutput streams. Made where it is missing, otherwise adopted and widened.

A publication that we made carries a comment that says so, and only such a one is dropped by `cdc drop`. Where
the role may not create or alter it, the error holds the very statement for somebody who may. wal2json needs
none.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec
import psycopg
import structlog
from psycopg import sql

from cdc.config import SourceSettings
from cdc.errors import SourceError
from cdc.source.connect import Connection
from cdc.source.failures import explain, place

log = structlog.get_logger()

MARK = "created by cdc"
ACTIONS = ("insert", "update", "delete", "truncate")
WRITER_LOCKS = ["RowExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"]

COVERED = """
    select schemaname::text, tablename::text from pg_publication_tables where pubname = %(name)s
    union
    select n.nspname::text, c.relname::text
    from pg_publication p join pg_publication_rel r on r.prpubid = p.oid
    join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
    where p.pubname = %(name)s"""
"""In effect, and as it was declared: without via_root, the view names partitions where their root was declared."""


class TableName(NamedTuple):
    """Schema and name of a captured table, unquoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return sql.Identifier(self.schema, self.name).as_string()


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of a publication. `tables`: those it covers in effect, not their partitions."""

    name: str
    all_tables: bool
    via_root: bool
    actions: tuple[str, ...]
    tables: frozenset[tuple[str, str]]
    ours: bool = False
    created: bool = False

    def missing(self, tables: Iterable[tuple[str, str]]) -> list[TableName]:
        return [TableName(*table) for table in tables if tuple(table) not in self.tables]


def read_publication(connection: Connection, name: str) -> Publication | None:
    """The publication as it is now; None if there is none of this name."""
    query = """
        select puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate,
               coalesce(obj_description(oid, 'pg_publication'), '') like %s
        from pg_publication where pubname = %s"""
    row = connection.execute(query, [MARK + "%", name]).fetchone()
    if row is None:
        return None
    all_tables, via_root, *published, ours = row
    covered = connection.execute(COVERED, {"name": name})
    return Publication(
        name=name,
        all_tables=all_tables,
        via_root=via_root,
        actions=tuple(action for action, on in zip(ACTIONS, published, strict=True) if on),
        tables=frozenset((schema, table) for schema, table in covered),
        ours=ours,
    )


def create_statement(name: str, tables: Iterable[tuple[str, str]]) -> str:
    """Publishes changes of partitions as those of their root, which is the table that we capture."""
    listed = ", ".join(TableName(*table).quoted for table in tables)
    options = "publish_via_partition_root = true"
    return f"create publication {quoted(name)} for table {listed} with ({options})"


def add_statement(name: str, tables: Iterable[tuple[str, str]]) -> str:
    listed = ", ".join(TableName(*table).quoted for table in tables)
    return f"alter publication {quoted(name)} add table {listed}"


def via_root_statement(name: str) -> str:
    return f"alter publication {quoted(name)} set (publish_via_partition_root = true)"


def actions_statement(name: str) -> str:
    return f"alter publication {quoted(name)} set (publish = '{', '.join(ACTIONS)}')"


def ensure_publication(
    connection: Connection, settings: SourceSettings, tables: Sequence[tuple[str, str]], *, wait: bool = True
) -> Publication:
    """Have a publication that covers these tables: create it, or adopt the one that is there and add what it
    lacks.

    Call it before the slot is made: changes are decoded with the publication as it was when they were
    written. Returns when every transaction that wrote to an added table before is over (unless whoever calls will
    `wait` for them itself), so that a snapshot from now on misses nothing.
    """
    name = settings.publication
    found = read_publication(connection, name)
    if found is None:
        _change(connection, settings, create_statement(name, tables), f"there is no publication {name!r}")
        connection.execute(f"comment on publication {quoted(name)} is '{MARK}'".encode())
        log.info("publication_created", publication=name, tables=len(tables))
        if wait:
            wait_for_writers(connection, tables)
        return msgspec.structs.replace(_read(connection, name), created=True)
    partitioned = connection.execute(
        "select 1 from pg_class where relkind = 'p' and oid = any(%s::regclass[]) limit 1",
        [[TableName(*table).quoted for table in tables]],
    ).fetchone()
    if partitioned and not found.via_root:
        why = f"publication {name!r} publishes partitions instead of their root"
        _change(connection, settings, via_root_statement(name), why)
        found = _read(connection, name)
    if added := found.missing(tables):
        listed = ", ".join(map(str, added))
        _change(connection, settings, add_statement(name, added), f"publication {name!r} lacks {listed}")
        log.info("publication_extended", publication=name, tables=[str(table) for table in added])
        if wait:
            wait_for_writers(connection, added)
        found = _read(connection, name)
    if set(ACTIONS) - set(found.actions):
        log.warning(
            "publication_incomplete", publication=name, publishes=found.actions, fix=actions_statement(name)
        )
    return found


def drop_publication(connection: Connection, name: str) -> bool:
    """Drop the publication if it is one that we made; says whether it did."""
    found = read_publication(connection, name)
    if found is None or not found.ours:
        return False
    connection.execute(f"drop publication {quoted(name)}".encode())
    return True


def wait_for_writers(connection: Connection, tables: Collection[tuple[str, str]]) -> None:
    """Wait for the transactions that have written to these tables and are still open.

    What they wrote before the publication named the table is not streamed, even if they commit later; only a
    snapshot taken after their end shows it.
    """
    query = """
        select virtualtransaction, pid from pg_locks
        where locktype = 'relation' and granted and mode = any(%s) and pid is distinct from pg_backend_pid()
          and database = (select oid from pg_database where datname = current_database())
          and relation in (
            select tree.relid from unnest(%s::text[]) as name, lateral (
                select name::regclass::oid as relid union all select relid::oid from
                pg_partition_tree(name::regclass)
            ) as tree)"""
    names = [TableName(*table).quoted for table in tables]
    waiting = {each for each, _ in connection.execute(query, [WRITER_LOCKS, names])}
    begun = told = time.monotonic()
    while waiting:
        rows = connection.execute(query, [WRITER_LOCKS, names]).fetchall()
        waiting &= {each for each, _ in rows}
        if time.monotonic() - told > 5:
            told = time.monotonic()
            pids = [pid for each, pid in rows if each in waiting]
            log.warning(
                "waiting_for_transactions",
                pids=pids,
                seconds=round(told - begun),
                why="they wrote to new tables",
            )
        time.sleep(0.05 if waiting else 0)


def _change(connection: Connection, settings: SourceSettings, statement: str, problem: str) -> None:
    """Run the statement if we may; else ask for it."""
    where = place(connection)
    if not settings.create:
        why = "[source] create is false"
        raise SourceError(problem, why=why, hint=f"run `{statement}`", where=where)
    try:
        connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        why = error.diag.message_primary or ""
        hint = f"as the owner of the tables or a superuser run `{statement}`"
        raise SourceError(problem, why=why, hint=hint, where=where) from error
    except psycopg.Error as error:
        raise explain(error, problem, where=where) from error


def _read(connection: Connection, name: str) -> Publication:
    found = read_publication(connection, name)
    if found is None:
        raise SourceError(
            f"publication {name!r} is gone", why="somebody dropped it just now", where=place(connection)
        )
    return found


def quoted(name: str) -> str:
    """As an SQL identifier."""
    return sql.Identifier(name).as_string()
