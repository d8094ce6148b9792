"""What is known of a dialect: how it takes names and text, and what it does to transactions. Others get the careful answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

from cdc.errors import TargetError
from cdc.schema import Table
from connectors.sql import ascii_lower

KNOWN_TRANSACTIONAL = ("sqlite", "postgresql", "mssql")  # DDL takes part in transactions


@dataclass(frozen=True)
class Family:
    """`flat`: all tables stand in one schema, under names `schema.table`. `fold` gives names that are the same to the target."""

    name: str
    flat: bool
    transactional_ddl: bool
    fold: Callable[[str], str]
    text: sa.String
    max_name: int
    max_decimals: int = 30

    @property
    def is_sqlite(self) -> bool:
        return self.name == "sqlite"

    @property
    def is_mysql(self) -> bool:
        """MariaDB or MySQL."""
        return self.name == "mysql"

    def place(self, table: Table) -> tuple[str | None, str]:
        """The target's schema and name for a table."""
        if not self.flat:
            return table.schema, table.name
        schema = table.schema.replace("%", "%25").replace(
            ".", "%2E"
        )  # so that different tables have different names
        return None, f"{schema}.{table.name}"


def family_of(dialect: Dialect, layout: str) -> Family:
    """After the first connection, when MariaDB is told from MySQL."""
    name = "mysql" if dialect.name in ("mysql", "mariadb") else dialect.name
    flat = layout == "flat" or (layout == "auto" and name == "sqlite")
    transactional = name in KNOWN_TRANSACTIONAL
    if name == "mysql":
        maria = bool(getattr(dialect, "is_mariadb", False))
        # Other collations take 'a' for 'A', or for 'a '.
        text = mysql.LONGTEXT(
            charset="utf8mb4", collation="utf8mb4_nopad_bin" if maria else "utf8mb4_0900_bin"
        )
        return Family(name, flat, transactional, _general_ci, text, 64, 38 if maria else 30)
    fold = ascii_lower if name == "sqlite" else str.casefold if name != "postgresql" else str
    return Family(name, flat, transactional, fold, sa.Text(), dialect.max_identifier_length)


def _general_ci(name: str) -> str:
    """MySQL takes names of columns for the same if their letters are, whatever the case and the accents."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def check_names(table: Table, family: Family) -> None:
    """Raise TargetError for names that the target does not take, or would cut."""
    schema, name = family.place(table)
    for what, each in (
        ("schema", schema or "x"),
        ("table", name),
        *(("column", c) for c in table.column_names),
    ):
        problem = ""
        size = len(each.encode()) if family.name == "postgresql" else len(each)
        if not family.is_sqlite and size > family.max_name:
            problem = f"a name may have {family.max_name} characters there"
        elif family.is_mysql and each.endswith(" "):
            problem = "a name may not end with a space there"
        elif family.is_mysql and any(ord(letter) > 0xFFFF for letter in each):
            problem = "a name may not have characters beyond U+FFFF there"
        elif family.is_sqlite and what == "table" and each.lower().startswith("sqlite_"):
            problem = "such names belong to SQLite itself"
        if problem:
            raise TargetError(
                f"the target cannot have a {what} named {each!r}",
                why=problem,
                where=table.full_name,
                hint=f"rename it, or leave it out by [source] exclude_{'columns' if what == 'column' else 'tables'}",
            )


def marks_name(family: Family) -> sa.String:
    """The type of names of partitions and controls: told apart by each letter."""
    return sa.String(255, collation=family.text.collation) if family.is_mysql else sa.String(255)
