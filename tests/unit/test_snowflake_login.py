"""How the connector is told to log in, and what is told before it tries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cdc.errors import ConfigError
from connectors.snowflake import Settings
from connectors.snowflake.opening import arguments

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DER = KEY.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


def settings(**more: Any) -> Settings:
    return Settings(account="a", user="u", database="D", **more)


def pem(passphrase: bytes | None = None) -> str:
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()


def test_by_a_key_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    path.write_text(pem())
    known = arguments(settings(private_key_file=str(path), role="R", warehouse="W"))
    assert (known["authenticator"], known["private_key"]) == ("SNOWFLAKE_JWT", DER)
    assert (
        known["account"],
        known["user"],
        known["role"],
        known["warehouse"],
        known["database"],
        known["schema"],
    ) == (*("a", "u", "R", "W", "D", "PUBLIC"),)


def test_by_an_encrypted_key_in_the_environment() -> None:
    known = arguments(settings(private_key=pem(b"open"), private_key_passphrase="open"))
    assert (known["authenticator"], known["private_key"]) == ("SNOWFLAKE_JWT", DER)


def test_by_password_token_and_browser() -> None:
    assert arguments(settings(authenticator="password", password="x"))["password"] == "x"
    oauth = arguments(settings(authenticator="oauth", token="t"))
    assert (oauth["authenticator"], oauth["token"]) == ("oauth", "t")
    assert arguments(settings(authenticator="external_browser"))["authenticator"] == "externalbrowser"


def test_what_every_session_is_told() -> None:
    known = arguments(
        settings(
            authenticator="external_browser",
            query_tag="bill me",
            session={"TIMEZONE": "UTC", "WEEK_START": 1},
        )
    )
    assert known["client_session_keep_alive"] is True
    assert known["autocommit"] is True
    parameters = known["session_parameters"]
    assert (parameters["QUERY_TAG"], parameters["TIMEZONE"], parameters["WEEK_START"]) == (
        "bill me",
        "UTC",
        1,
    )


@pytest.mark.parametrize("way", ["key_pair", "password", "oauth"])
def test_what_a_way_lacks_is_named(way: str) -> None:
    with pytest.raises(ConfigError, match="needs"):
        arguments(settings(authenticator=way))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"private_key": pem(b"open")}, "is encrypted"),
        ({"private_key": pem(b"open"), "private_key_passphrase": "shut"}, "passphrase is wrong"),
        ({"private_key": pem(), "private_key_passphrase": "shut"}, "is not encrypted"),
        ({"private_key": "ssh-rsa AAAA"}, "cannot be used"),
        ({"private_key_file": "/nowhere/key.p8"}, "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_it(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        arguments(settings(**wrong))
    assert "shut" not in str(caught.value)
    assert "AAAA" not in str(caught.value)
