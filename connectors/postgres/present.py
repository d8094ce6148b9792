"""What the target has of a table, read from its catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdc.schema import Table
from connectors.postgres.statements import Statements

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
