"""One value of the configuration: filled in from the environment and files, then of its setting's type.

What a person wrote in TOML must be of that type already. What comes from the environment or from a file is
text, and is read as the type asks. Errors never show the value, which may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec

from cdc.errors import ConfigError

VARIABLE = re.compile(r"\$\{(\w+)\}")
FILE = "file:/"
WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
}


class Text(str):
    """A string whose setting decides what it is."""


def expand(given: Any, environ: Mapping[str, str]) -> Any:
    """The value with `${NAME}` and `file:/path` replaced, in lists too. Raises ConfigError."""
    if isinstance(given, list):
        return [expand(each, environ) for each in given]
    if not isinstance(given, str):
        return given
    if given.startswith(FILE):
        try:
            return Text(Path(given.removeprefix("file:")).read_text("utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the file cannot be read: {error}") from error

    def variable(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise ConfigError(f"the environment has no variable {match[1]}", hint=f"export {match[1]}=…")
        return environ[match[1]]

    filled = VARIABLE.sub(variable, given)
    return Text(filled) if isinstance(given, Text) or filled != given else given


def convert(given: Any, kind: Any) -> Any:
    """The value as the type of its setting. Raises ConfigError that says what is expected."""
    bare = without_limits(kind)
    strict = not isinstance(given, Text)
    if not strict and get_origin(bare) is list:
        given = [part.strip() for part in given.split(",") if part.strip()]
    elif not strict:
        given = str(given)
    try:
        return msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(_in_words(error, bare)) from error


def without_limits(kind: Any) -> Any:
    """`Annotated[int, …]` → `int`."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _in_words(error: msgspec.ValidationError, kind: Any) -> str:
    text = str(error)
    if "enum value" in text:
        return "expected one of " + ", ".join(map(str, get_args(kind)))
    for theirs, ours in WORDS.items():
        text = text.replace(theirs, ours)
    text = re.sub(r" - at `\$(.*)`", r" at \1", text)
    return text[0].lower() + text[1:]
