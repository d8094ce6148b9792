"""The queries of `catalog.py`, for PostgreSQL 13 to 18. The session's search_path is pg_catalog alone.

Columns that only some versions have are read as JSON, where a missing one is NULL.
"""

CANDIDATES = """
    select c.oid, n.nspname::text, c.relname::text, c.relkind, c.relpersistence
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('information_schema', 'pg_catalog', 'pg_toast')
    order by 2, 3"""
"""The fields of `Candidate`."""

# The columns of an index that are its key, in its order; INCLUDE columns are not.
# Not materialized: that would look at every index of the database for one table.
RELATION = """
    with keys as not materialized (
        select i.indexrelid, i.indrelid, i.indisprimary, i.indisreplident, i.indimmediate,
               i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
               and not exists (select from pg_attribute a where a.attrelid = i.indrelid
                               and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and not a.attnotnull) as
                               choosable,
               array(select a.attname::text from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k
               (attnum, place)
                     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum order by place) as
                     names
        from pg_index i)
    select c.oid, n.nspname::text, c.relname::text, c.relkind, c.relreplident,
           coalesce((select names from keys where indrelid = c.oid and indisprimary and indimmediate), '{}'),
           coalesce((select names from keys where indrelid = c.oid and indisreplident), '{}'),
           coalesce((select names from keys where indrelid = c.oid and choosable
                     and not (indisprimary and indimmediate)
                     order by indisprimary desc, cardinality(names), indexrelid limit 1), '{}'),
           array(select a.attnum from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and a.attisdropped order by a.attnum)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where """
"""The fields of `TableFacts` but its columns; ends with one of:"""

BY_OID = "c.oid = %s"
BY_NAME = "n.nspname = %s and c.relname = %s"

# Since PostgreSQL 18 a NOT NULL may be NOT VALID: then older rows may hold nulls. A domain may be NOT NULL, too.
COLUMNS = """
    select a.attname::text, a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
           (not a.attnotnull or exists (select from pg_constraint k where k.conrelid = a.attrelid
               and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum]))
           and not (select t.typnotnull from pg_type t where t.oid = a.atttypid),
           case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
           a.attgenerated, convert_to((a.attmissingval::text::text[])[1], 'UTF8')
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
    order by a.attnum"""
"""The fields of `ColumnFacts`."""

TYPES = """
    select t.oid, n.nspname::text, t.typname::text, t.typtype, t.typbasetype, t.typtypmod,
           case when t.typtype = 'b' and element.oid is not null then element.oid
                when t.typtype = 'r' then range.rngsubtype
                when t.typtype = 'm' then range.rngtypid
                else 0 end::oid,
           array(select enumlabel::text from pg_enum where enumtypid = t.oid order by enumsortorder)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    left join pg_type element on element.typarray = t.oid
    left join pg_range range
           on range.rngtypid = t.oid or (to_jsonb(range) ->> 'rngmultitypid')::oid = t.oid
    where t.oid = any (%s)"""
"""The fields of `TypeFact`."""

# PostgreSQL 15 and later: the column list (empty array: none), whether there is none, and publish_generated_columns.
PUBLISHED = """
    select array(select a.attname::text from pg_attribute a
                 where a.attrelid = c.oid and a.attnum = any (listed.prattrs)),
           listed.prattrs is null, to_jsonb(p) ->> 'pubgencols'
    from pg_publication p
    cross join pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_publication_rel listed on listed.prpubid = p.oid and listed.prrelid = c.oid
    where p.pubname = %s and n.nspname = %s and c.relname = %s"""

# Before 14, a table that was never analyzed says 0 rows, as an empty one does.
ESTIMATE = """
    select sum(case when c.reltuples > 0 or c.reltuples = 0 and c.relpages = 0 and pg_relation_size(c.oid) = 0
               then c.reltuples end)::bigint,
           coalesce(sum(pg_table_size(c.oid)), 0)::bigint
    from (select %s::regclass as oid) root
    join pg_class c on c.relkind = 'r'
         and (c.oid = root.oid or c.oid in (select relid from pg_partition_tree(root.oid)))"""
"""The fields of `Estimate`."""
