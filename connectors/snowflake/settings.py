"""`[warehouses.NAME]` with `kind = "snowflake"`: the account, how to come in, and the rules for values and batches."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cdc.config import Count, Seconds, WarehouseSettings


class Settings(WarehouseSettings, kw_only=True, frozen=True):
    """Batches are large and seldom by default: each wakes the virtual warehouse, which is paid for a minute at least."""

    kind: Literal["snowflake"] = "snowflake"
    account: str
    """As in the host name: `myorg-myaccount`."""
    user: str
    database: str
    """Must be there. Schemas are created in it."""
    schema: str = "PUBLIC"
    """The session's own, where Snowflake puts what it makes for itself; tables stand where the source's do."""
    warehouse: str = ""
    """The virtual warehouse that does the work; empty: the user's own."""
    role: str = ""
    authenticator: Literal["key_pair", "password", "oauth", "external_browser"] = "key_pair"
    private_key_file: str = ""
    """PEM file of the user's private key, for `key_pair` …"""
    private_key: str = ""
    """… or its text, as from "${SNOWFLAKE_PRIVATE_KEY}"."""
    private_key_passphrase: str = ""
    password: str = ""
    token: str = ""
    """For `oauth`: the access token."""
    host: str = ""
    """Instead of the account's own, as with private connectivity."""
    port: Count = 443
    protocol: Literal["https", "http"] = "https"
    query_tag: str = "cdc"
    """Of every statement, for Snowflake's bills and history."""
    session: dict[str, str | int | bool] = {}
    """Any other parameters of the session."""
    metadata_schema: str = "_cdc"
    """The schema of marks, controls, the stage and staging tables."""
    connect_timeout: Seconds = 30.0
    statement_timeout: Seconds = 3600.0
    network_timeout: Seconds = 120.0
    """For how long a request that fails on the network, or by a fault of the service, is repeated."""
    time_travel: bool = True
    """`cdc verify` reads tables as of one statement (AT); without it, in a transaction."""

    batch_rows: Count = 500_000
    batch_bytes: Annotated[int, Meta(ge=1 << 16)] = 128 << 20
    max_delay: Seconds = 60.0
    when_idle: Literal["at_once", "wait"] = "wait"

    unrepresentable: Literal["refuse", "null"] = "refuse"
    """A value its column cannot hold unaltered (NaN in a NUMBER, an infinite date): stop, or store NULL and warn."""
    unconstrained_numeric: Annotated[str, Meta(pattern=r"^(text|number\(\d{1,2}, ?\d{1,2}\))$")] = "text"
    """Numerics without precision, or with more than 38 digits: `text` is lossless; `number(38,9)` refuses to round."""
    json: Literal["text", "variant"] = "text"
    """`variant`: json and jsonb as VARIANT, whose numbers and order of keys are Snowflake's; `cdc verify` cannot compare them."""
    arrays: Literal["text", "variant"] = "text"
    """`variant`: arrays as VARIANT, of numbers, booleans and texts."""
    largest_value: Count = 16 << 20
    """Bytes of a text that is taken; half of it for bytea. Larger ones are refused."""
    columns: dict[str, str] = {}
    """Types for single columns: `"public.t.c" = "VARCHAR"` keeps PostgreSQL's text, `"NUMBER(p,s)"` is for numerics."""
