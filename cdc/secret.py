"""Hides secrets in what is shown: by the name of a key, and passwords inside of DSNs and URLs. Pure."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "•••"
KEYS = re.compile(
    r"authorization|password|passphrase|secret|token|(?<!primary_)key(?!_columns)|credential", re.IGNORECASE
)
TYPES = "columns"  # the table under this key has types, whatever the columns' names are
URL_PASSWORD = re.compile(r"(?<=://)([^/?#\s@:]*):[^\s]*@")  # up to the last @: it may be there unescaped
WORD_PASSWORD = re.compile(
    r"""\b(\w*(?:password|secret|token|key)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)""", re.IGNORECASE
)


def without_secrets(value: Any, key: str = "") -> Any:
    """The value, in any depth, as it may be shown."""
    if isinstance(value, dict):
        return {name: without_secrets(each, key if key == TYPES else name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(each, key) for each in value]
    if not isinstance(value, str) or not value:
        return value
    return HIDDEN if KEYS.search(key) else hide_passwords(value)


def hide_passwords(text: str) -> str:
    """A DSN or URL without its password; other text as it is."""
    text = URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    return WORD_PASSWORD.sub(rf"\1{HIDDEN}", text)
