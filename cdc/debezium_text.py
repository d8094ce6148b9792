"""The texts of a Debezium connector's configuration: property files, lists of regular expressions, connection strings."""

from __future__ import annotations

import json
import re

from cdc.errors import ConfigError


def parse_properties(text: str) -> dict[str, str]:
    """A .properties file, or a connector's JSON (alone, or as it is posted: name and config). Raises ConfigError."""
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except ValueError as error:
            raise ConfigError("the connector's JSON cannot be read", why=str(error)) from error
        found = given.get("config", given)
        return {
            str(key): value if isinstance(value, str) else json.dumps(value) for key, value in found.items()
        }
    properties = {}
    joined = re.sub(r"\\\r?\n[ \t]*", "", text)
    for line in joined.split("\n"):
        stripped = line.strip()
        if stripped and stripped[0] not in "#!":
            key, value = [*re.split(r"\s*[=:]\s*|\s+", stripped, maxsplit=1), ""][:2]
            properties[key] = re.sub(r"\\(.)", r"\1", value)
    return properties


def globs_of(pattern: str) -> list[str] | None:
    """A regular expression as globs that match the same; None if there are none. `(a|b)` becomes two."""
    choice = re.search(r"\((?:\?:)?([^()]*)\)(?![*+?{])", pattern)
    if choice is None:
        glob = _glob_of(pattern)
        return None if glob is None else [glob]
    found = []
    for each in choice[1].split("|"):
        globs = globs_of(pattern[: choice.start()] + each + pattern[choice.end() :])
        if globs is None:
            return None
        found += globs
    return found


def _glob_of(pattern: str) -> str | None:
    text = pattern.strip().replace(r"\.", "\0").replace(".*", "\1")
    if re.search(r"[][(){}|^$+?\\*]", text):
        return None
    return text.replace("\0", ".").replace("\1", "*")


def split(patterns: str) -> list[str]:
    """A list with commas between; one with a backslash before it is part of an element."""
    parts = re.split(r"(?<!\\),", patterns)
    return [part.strip().replace("\\,", ",") for part in parts if part.strip()]


def quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace("'", r"\'")
    return value if re.fullmatch(r"[^\s'\\]+", value) else f"'{escaped}'"
