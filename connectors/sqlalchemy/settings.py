"""`[warehouses.NAME]` with `kind = "sqlalchemy"`: where the database is, and the rules for values."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cdc.config import Count, WarehouseSettings


class Settings(WarehouseSettings, kw_only=True, frozen=True):
    """Any database that SQLAlchemy has a dialect and you have a driver for."""

    kind: Literal["sqlalchemy"] = "sqlalchemy"
    url: str
    """SQLAlchemy's URL: `sqlite:////data/copy.db`, `mariadb+pymysql://cdc@db/`; the password better as `${NAME}`."""
    layout: Literal["auto", "native", "flat"] = "auto"
    """`native`: the target has schemas (in MariaDB: databases) as the source; `flat`: one, with tables named `schema.table`;
    `auto`: flat in SQLite, else native."""
    lock_timeout: Count = 30
    """Seconds to wait for whoever else has locked a table, or SQLite's file."""
    unrepresentable: Literal["refuse", "null"] = "refuse"
    """A value its column cannot hold unaltered (NaN in a DECIMAL, a date BC in MariaDB): stop, or store NULL and warn."""
    unconstrained_numeric: Annotated[str, Meta(pattern=r"^(text|decimal\(\d{1,2}, ?\d{1,2}\))$")] = "text"
    """Columns of type numeric without precision: `text` is lossless; `decimal(65,30)` refuses what it would have to round."""
    times: Literal["native", "text"] = "native"
    """`native`: dates and times as such where the dialect's are known to be exact (MariaDB, MySQL); `text`: PostgreSQL's own."""
    columns: dict[str, str] = {}
    """Types for single columns: `"public.t.c" = "TEXT"` keeps PostgreSQL's text, `"DECIMAL(p,s)"` is for numerics."""
