"""The effective settings as TOML, for `cdc config`; `secret.py` has hidden what must not be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cdc.config import Config
from cdc.secret import without_secrets

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def effective(config: Config) -> dict[str, Any]:
    """All settings, defaults included, as plain values without secrets."""
    shown: dict[str, Any] = without_secrets(msgspec.to_builtins(config))
    return shown


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML that reads back as the values. There is no null in TOML: what is None is left out."""
    return "\n".join(_table(values, ())).strip() + "\n"


def _table(values: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    plain = {key: each for key, each in values.items() if not isinstance(each, dict) and each is not None}
    if place and (plain or not values):
        yield f"\n[{'.'.join(map(_key, place))}]"
    for key, each in plain.items():
        yield f"{_key(key)} = {_value(each)}"
    for key, each in values.items():
        if isinstance(each, dict):
            yield from _table(each, (*place, key))


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """JSON's literals are TOML's, but for DEL and arrays of tables, which settings do not have."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
