"""How a column loses its default. Snowflake drops none that ALTER TABLE has given: a new column takes the old values and name.

Each statement may be repeated after a crash; where one came before the last of them, the column is put back first.
"""

from __future__ import annotations

from connectors.sql import quote

LONGEST_NAME = 255


def aside(name: str) -> str:
    return f"_cdc_kept_{name}"[:LONGEST_NAME]


def without_default(target: str, name: str, sql: str) -> list[str]:
    old, new = quote(name), quote(aside(name))
    return [
        f"ALTER TABLE {target} ADD COLUMN IF NOT EXISTS {new} {sql}",
        f"UPDATE {target} SET {new} = {old}",
        f"ALTER TABLE {target} DROP COLUMN {old}",
        put_back(target, name),
    ]


def put_back(target: str, name: str) -> str:
    return f"ALTER TABLE {target} RENAME COLUMN {quote(aside(name))} TO {quote(name)}"
