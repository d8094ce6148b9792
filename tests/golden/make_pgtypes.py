"""Prints the rows of `cdc/pgtypes_builtin.py` from PostgreSQL 15, 16 and 18.

`python -m tests.golden.make_pgtypes`, when a new version adds types.
"""

from __future__ import annotations

import sys

from tests.fixtures.postgres import VERSIONS, Database, postgres_server

# OIDs below 10000 are assigned by hand and never change; row types of the catalog's own tables are left out.
BUILTIN_TYPES = """
    select t.oid::int, t.typarray::int, t.typname::text, t.typtype::text, coalesce(r.rngsubtype, m.rngtypid, 0)::int
    from pg_type t
        left join pg_range r on r.rngtypid = t.oid
        left join pg_range m on m.rngmultitypid = t.oid
    where t.oid < 10000 and t.typtype in ('b', 'r', 'm')
        and (t.typcategory <> 'A' or t.typname in ('int2vector', 'oidvector'))
    order by 1"""

# Types whose kind is not their name. All that is not in KINDS is text.
KIND = {"bpchar": "char", "char": "text", "xid": "oid", "cid": "oid"}


def builtin_types(database: Database) -> list[tuple[int, int, str, str, int]]:
    """(OID, OID of its array or 0, name, kind, OID of what a range or multirange is made of or 0) of each type of the server."""
    from cdc.pgtypes import KINDS

    named = {"r": "range", "m": "multirange"}
    return [
        (oid, array, name, named.get(typtype, KIND.get(name, name if name in KINDS else "text")), element)
        for oid, array, name, typtype, element in database.query(BUILTIN_TYPES)
    ]


def main() -> None:
    rows: dict[int, tuple[int, int, str, str, int]] = {}
    for version in VERSIONS:
        with postgres_server(version) as server:
            rows |= {row[0]: row for row in builtin_types(Database(server, "postgres"))}
    for _, row in sorted(rows.items()):
        sys.stdout.write(f'    ({row[0]}, {row[1]}, "{row[2]}", "{row[3]}", {row[4]}),\n')


if __name__ == "__main__":
    main()
