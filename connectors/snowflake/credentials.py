"""Who logs in, and how, as the connector's arguments; what is missing or cannot be used is told before anything is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from cdc.errors import ConfigError
from connectors.snowflake.settings import Settings


def credentials(settings: Settings) -> dict[str, Any]:
    """Raises ConfigError."""
    if settings.authenticator == "key_pair":
        return {"authenticator": "SNOWFLAKE_JWT", "private_key": private_key(settings)}
    if settings.authenticator == "password":
        return {"password": _needed(settings, "password")}
    if settings.authenticator == "oauth":
        return {"authenticator": "oauth", "token": _needed(settings, "token")}
    return {"authenticator": "externalbrowser", "client_store_temporary_credential": True}


def private_key(settings: Settings) -> bytes:
    """The key as the connector takes it. It is read here, so that what is wrong with it is told in our words."""
    name = "private_key" if settings.private_key else "private_key_file"
    where = f"[warehouses.…] {name}"
    pem = settings.private_key.encode()
    if not pem:
        path = Path(_needed(settings, "private_key_file"))
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the private key {path} cannot be read", why=str(error.strerror), where=where
            ) from error
    passphrase = settings.private_key_passphrase.encode() or None
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except TypeError as error:
        what = "is encrypted" if passphrase is None else "is not encrypted, but private_key_passphrase is set"
        raise ConfigError(
            f"the private key {what}", where=where, hint="set private_key_passphrase, or not"
        ) from error
    except (ValueError, UnsupportedAlgorithm):
        hint = (
            "a PEM file that begins with -----BEGIN PRIVATE KEY----- or -----BEGIN ENCRYPTED PRIVATE KEY-----"
        )
        why = "it is none, or the passphrase is wrong"
        raise ConfigError("the private key cannot be used", why=why, where=where, hint=hint) from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _needed(settings: Settings, name: str) -> str:
    value: str = getattr(settings, name)
    if not value:
        raise ConfigError(
            f'authenticator = "{settings.authenticator}" needs {name}', where=f"[warehouses.…] {name}"
        )
    return value
