"""What is hidden, and what is not."""

from __future__ import annotations

import pytest

from cdc.secret import HIDDEN, hide_passwords, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://cdc:pw@db:5432/shop", f"postgresql://cdc:{HIDDEN}@db:5432/shop"),
        ("postgresql://cdc:p@w/x@db/shop", f"postgresql://cdc:{HIDDEN}@db/shop"),
        ("postgresql://cdc@db/shop", "postgresql://cdc@db/shop"),
        ("postgresql://db:5432/shop", "postgresql://db:5432/shop"),
        ("postgresql://db/shop?user=me&password=pw&sslmode=require", f"postgresql://db/shop?user=me&password={HIDDEN}&sslmode=require"),
        ("host=db password=pw user=me", f"host=db password={HIDDEN} user=me"),
        (r"host=db password = 'a \' b' user=me", f"host=db password = {HIDDEN} user=me"),
        ("host=db sslpassword=pw", f"host=db sslpassword={HIDDEN}"),
        ("host=db passfile=/x", "host=db passfile=/x"),
        ("snowflake://u:pw@acc/db?private_key=abc", f"snowflake://u:{HIDDEN}@acc/db?private_key={HIDDEN}"),
        ("warehouse.duckdb", "warehouse.duckdb"),
    ],
)  # fmt: skip
def test_passwords_in_dsns(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown


def test_by_the_name_of_the_key_in_any_depth() -> None:
    given = {"a": {"api_token": "x", "n": 1, "empty_secret": ""}, "list": ["u://a:b@c"], "password": ["x"]}
    assert without_secrets(given) == {
        "a": {"api_token": HIDDEN, "n": 1, "empty_secret": ""},
        "list": [f"u://a:{HIDDEN}@c"],
        "password": [HIDDEN],
    }


def test_columns_are_named_not_hidden() -> None:
    given = {
        "message_key_columns": ["a:b"],
        "primary_key": ["id"],
        "columns": {"api_token": "text"},
        "ssl_key": "x",
    }
    assert without_secrets(given) == {**given, "ssl_key": HIDDEN}
