"""Makes the target's table able to hold rows of a shape, and says how rows get into it.

Read first, and changed only where something is lacking: two appliers that find the same thing lacking take turns (an advisory
lock until the commit), and an applier that finds nothing lacking takes no lock and needs no right to create anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import psycopg

from cdc.errors import ColumnRefused, TargetError
from cdc.interfaces import Alteration, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, Table
from connectors.postgres.naming import Naming
from connectors.postgres.opening import Connection
from connectors.postgres.present import Present, Target, read_target
from connectors.postgres.settings import Settings
from connectors.postgres.sql import Plan, TargetColumn
from connectors.postgres.statements import Statements
from connectors.postgres.types import TEXT, holds
from connectors.sql import METADATA, check_table, comma, literal, qualified, quote
from connectors.sql.altering import check_moved, still_to_do

log = logging.getLogger(__name__)

DDL_LOCK = 0x6364630001  # any number of our own


def evolve(connection: Connection, statements: Statements, table: Table, settings: Settings) -> Plan:
    """Create or alter what rows of this shape need, in the open transaction."""
    check_table(table, str)
    if table.schema in (settings.metadata_schema, METADATA):
        raise TargetError(f"the schema {table.schema} is kept for cdc's own tables", where=table.full_name)
    naming = Naming(connection, settings)
    target = read_target(statements, table)
    if target is not None:
        _check(target, table)
    original = read_target(statements, table.original) if table.stands_for and target is None else None
    if _lacks_key(table, target) or any(_statements(table, naming, target, original)):
        connection.execute("select pg_advisory_xact_lock($1)", [DDL_LOCK])
        target = read_target(statements, table)
        for name, labels in naming.enums(table):
            naming.create_enum(name, labels)
        for statement in list(_statements(table, naming, target, original)):
            connection.execute(statement.encode())
        _add_key(connection, table, target)
        target = read_target(statements, table)
    assert target is not None
    return plan(table, target)


def alter(
    connection: Connection, statements: Statements, table: Table, alterations: Sequence[Alteration]
) -> None:
    """Alter columns that are there, or drop the table, in the open transaction."""
    target = read_target(statements, table)
    present = target.columns if target else {}
    name = qualified(table.schema, table.name)
    defaults = [column for column, each in present.items() if each.default is not None]
    for each in still_to_do(table, present, alterations, defaults=defaults):
        if isinstance(each, DropTable):
            statement = f"drop table {name}"
        elif isinstance(each, RenameColumn):
            statement = f"alter table {name} rename column {quote(each.name)} to {quote(each.to)}"
        elif isinstance(each, DropDefault):
            statement = f"alter table {name} alter column {quote(each.name)} drop default"
        else:
            statement = f"alter table {name} drop column {quote(each.name)}"
        connection.execute(statement.encode())


def check_taken(statements: Statements, table: Table, other: Table) -> None:
    """Raise ColumnRefused if another table's rows could not be moved here as they are."""
    ours, theirs = read_target(statements, table), read_target(statements, other)
    if ours is not None and theirs is not None:
        check_moved(
            table, *([each.columns[name].sql for name in table.column_names] for each in (ours, theirs))
        )


def plan(table: Table, target: Target) -> Plan:
    columns = tuple(
        TargetColumn(quote(name), target.columns[name].base, target.columns[name].listed)
        for name in table.column_names
    )
    extras = tuple(quote(name) for name in target.columns if name not in table.column_names)
    unique = not table.key or _key_of(table) in target.unique
    return Plan(
        table, columns, extras,
        replaceable=target.plain and not extras, one_unique=target.one_unique and unique, unique=unique,
    )  # fmt: skip


def _check(target: Target, table: Table) -> None:
    if target.kind not in ("r", "p"):
        raise TargetError(
            "what has this name in the target is no table",
            where=table.full_name,
            hint="rename or drop it there, and the table will be created",
        )
    for column in table.columns:
        present = target.columns.get(column.name)
        if present is not None and present.generated:
            name = f"{table.full_name}.{column.name}"
            raise TargetError(
                "the target computes this column, and the source sends values for it",
                where=name,
                hint=f"alter table {qualified(table.schema, table.name)} alter column {quote(column.name)} drop expression",
            )


def _statements(
    table: Table, naming: Naming, target: Target | None, original: Target | None
) -> Iterator[str]:
    """What is lacking, as statements. `original` is the table that this one stands for: where its types hold our rows, a table
    that is created gets them."""
    name = qualified(table.schema, table.name)
    wanted = naming.wanted(table)
    key = [quote(table.columns[index].name) for index in table.key]
    if target is None:
        for index, column in enumerate(table.columns):
            present = original.columns.get(column.name) if original else None
            if present and (naming.is_given(table, column) or holds(present.sql, wanted[index])):
                wanted[index] = present.sql
        yield f"create schema if not exists {quote(table.schema)}"
        lines = [
            f"{quote(column.name)} {kept}{_default(column, kept)}{' not null' if index in table.key else ''}"
            for index, (column, kept) in enumerate(zip(table.columns, wanted, strict=True))
        ]
        lines += [f"primary key ({comma(key)})"] if key else []
        yield f"create table {name} ({comma(lines)})"
        return
    for column, kept in zip(table.columns, wanted, strict=True):
        present = target.columns.get(column.name)
        if present is None:
            yield f"alter table {name} add column {quote(column.name)} {kept}{_default(column, kept)}"
        elif not naming.is_given(table, column) and not holds(present.sql, kept):
            yield _widen(name, table, column, present, kept)
    # Rows are merged by a unique index over the key. One over other columns of the source's would refuse rows.
    if target.primary and (
        _lacks_key(table, target) or (not key and target.primary[1] <= set(table.column_names))
    ):
        yield f"alter table {name} drop constraint {quote(target.primary[0])}"
    keyed = {table.columns[index].name for index in table.key}
    kept_key = target.primary[1] if target.primary and target.primary[1] == keyed else frozenset()
    own = {column.name: column.nullable for column in table.columns}
    for column_name, present in target.columns.items():
        may_be_null = own.get(column_name, not present.filled)
        if not present.nullable and may_be_null and column_name not in keyed | kept_key:
            yield f"alter table {name} alter column {quote(column_name)} drop not null"


def _lacks_key(table: Table, target: Target | None) -> bool:
    return target is not None and bool(table.key) and _key_of(table) not in target.unique


def _key_of(table: Table) -> frozenset[str]:
    return frozenset(table.columns[index].name for index in table.key)


def _add_key(connection: Connection, table: Table, target: Target | None) -> None:
    """Where rows stand in its way, they came before the source had the key: they are merged without an index as long as they are
    there. Whoever notices the key has the table copied anew."""
    if not _lacks_key(table, target):
        return
    key = comma(quote(table.columns[index].name) for index in table.key)
    try:
        with connection.transaction():  # a savepoint
            connection.execute(
                f"alter table {qualified(table.schema, table.name)} add primary key ({key})".encode()
            )
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation):
        log.warning(
            "%s: rows of the target are not yet one for each key: it is written without an index",
            table.full_name,
        )


def _default(column: Column, kept: str) -> str:
    """Rows that are there, and those of an older shape still to come, get the value that PostgreSQL shows for them."""
    return "" if column.missing is None else f" default {literal(column.missing.decode())}::{kept}"


def _widen(name: str, table: Table, column: Column, present: Present, wanted: str) -> str:
    if holds(wanted, present.sql) or wanted == TEXT:
        altered = f"alter column {quote(column.name)}"
        actions = [f"{altered} type {wanted} using {quote(column.name)}::{wanted}"]
        if present.default is not None:  # not every one is cast by itself
            default = f"({present.default})::{wanted}"
            actions = [f"{altered} drop default", *actions, f"{altered} set default {default}"]
        return f"alter table {name} {comma(actions)}"
    full = f"{table.full_name}.{column.name}"
    raise ColumnRefused(
        f"column {column.name} is {present.sql} in the target, and {wanted} in the source",
        why="not every value of the one is one of the other",
        column=column.name,
        where=table.full_name,
        hint=f'alter it there to {wanted} or text, or set columns."{full}" under the warehouse to keep it as it is',
    )
