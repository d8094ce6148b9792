"""Makes the target's table able to hold rows of a shape, and says how rows get into it.

Read first, and changed only where something is lacking: two appliers that find the same thing lacking take turns (an advisory
lock until the commit), and an applier that finds nothing lacking takes no lock and needs no right to create anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cdc.errors import ColumnRefused, TargetError
from cdc.interfaces import Alteration, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, Table
from connectors.postgres.naming import Naming
from connectors.postgres.opening import Connection
from connectors.postgres.settings import Settings
from connectors.postgres.sql import Plan, TargetColumn
from connectors.postgres.statements import Statements
from connectors.postgres.types import TEXT, holds
from connectors.sql import METADATA, check_table, comma, literal, qualified, quote
from connectors.sql.altering import check_moved, still_to_do

DDL_LOCK = 0x6364630001  # any number of our own
COLUMNS = """
    select a.attname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1), not a.attnotnull,
        a.attgenerated <> '', a.atthasdef or a.attidentity <> '',
        t.typarray <> 0 and t.typcategory <> 'A' and t.typtype <> 'c' and t.typdelim = ',',
        case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
        left join pg_catalog.pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
# Whether nobody can tell an update from a deletion and an insertion, and COPY may write the table.
FACTS = """
    select c.oid, c.relkind::text, not (c.relrowsecurity or c.relhasrules
        or exists (select from pg_catalog.pg_trigger where tgrelid = c.oid and not tgisinternal)
        or exists (select from pg_catalog.pg_constraint where confrelid = c.oid)
        or exists (select from pg_catalog.pg_publication)),
        (select count(*) <= 1 from pg_catalog.pg_index where indrelid = c.oid and (indisunique or indisexclusion))
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = $2 and c.relkind not in ('i', 'I', 't', 'c')
"""
UNIQUE = """
    select coalesce(k.conname, ''), array(select a.attname::text from pg_catalog.pg_attribute a
        where a.attrelid = i.indrelid and a.attnum = any(i.indkey[:i.indnkeyatts - 1]))
    from pg_catalog.pg_index i left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.contype = 'p'
    where i.indrelid = $1 and i.indisunique and i.indimmediate and i.indisvalid
        and i.indpred is null and i.indexprs is null
"""


@dataclass(frozen=True, slots=True)
class Present:
    """A column of the target as it is. `base` is its type without length or digits, `default` an expression."""

    sql: str
    base: str
    nullable: bool
    generated: bool
    filled: bool
    listed: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """The target's table as it is. `unique` are its sets of columns without two equal rows."""

    kind: str
    plain: bool
    one_unique: bool
    columns: Mapping[str, Present]
    unique: Sequence[frozenset[str]]
    primary: tuple[str, frozenset[str]] | None


def read_target(statements: Statements, table: Table) -> Target | None:
    """None: there is no such table."""
    found = statements.rows(FACTS, [table.schema.encode(), table.name.encode()])
    if not found:
        return None
    [(oid, kind, plain, one_unique)] = found
    number = [b"%d" % oid]
    columns = {name: Present(*rest) for name, *rest in statements.rows(COLUMNS, number)}
    keys = [(name, frozenset(names)) for name, names in statements.rows(UNIQUE, number)]
    primary = next(((name, names) for name, names in keys if name), None)
    return Target(kind, plain, one_unique, columns, [names for _, names in keys], primary)


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
    if any(_statements(table, naming, target, original)):
        connection.execute("select pg_advisory_xact_lock($1)", [DDL_LOCK])
        target = read_target(statements, table)
        for name, labels in naming.enums(table):
            naming.create_enum(name, labels)
        for statement in list(_statements(table, naming, target, original)):
            connection.execute(statement.encode())
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
    return Plan(table, columns, extras, replaceable=target.plain and not extras, one_unique=target.one_unique)


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
    yield from _key(name, table, target, key)
    keyed = {table.columns[index].name for index in table.key}
    kept_key = target.primary[1] if target.primary and target.primary[1] == keyed else frozenset()
    own = {column.name: column.nullable for column in table.columns}
    for column_name, present in target.columns.items():
        may_be_null = own.get(column_name, not present.filled)
        if not present.nullable and may_be_null and column_name not in keyed | kept_key:
            yield f"alter table {name} alter column {quote(column_name)} drop not null"


def _key(name: str, table: Table, target: Target, key: Sequence[str]) -> Iterator[str]:
    """Rows are merged by a unique index over the key. One over other columns of the source's would refuse rows."""
    columns = frozenset(table.columns[index].name for index in table.key)
    if key and columns in target.unique:
        return
    drop = []
    if target.primary and (key or target.primary[1] <= set(table.column_names)):
        drop = [f"drop constraint {quote(target.primary[0])}"]
    add = [f"add primary key ({comma(key)})"] if key else []
    if drop or add:
        yield f"alter table {name} {comma([*drop, *add])}"


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
