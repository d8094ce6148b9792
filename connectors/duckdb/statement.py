"""Decides which SQL of a stranger's may be run in the process that writes: one statement that only looks, by DuckDB's own parser.

Three fences stand behind each other. This one lets a statement through that is a SELECT to the parser and calls no
table function but those named here: what reads files, sets anything, or runs text as SQL is none of them. The others are
a transaction that DuckDB itself keeps read-only, and a process in which DuckDB may open no files but its own (`opening.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from cdc.errors import ConfigError

WHAT = "this is not answered"
ONLY = "only a SELECT, or DESCRIBE, SHOW, SUMMARIZE or EXPLAIN of one, is"

TABLE_FUNCTIONS = {
    *("duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_functions", "duckdb_indexes"),
    *(
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_sequences",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
    ),
    *("pragma_database_size", "pragma_show", "pragma_storage_info", "pragma_table_info", "pragma_version"),
    *("generate_series", "histogram", "histogram_values", "json_each", "json_tree", "range", "repeat"),
    *("repeat_row", "summary", "unnest", "icu_calendar_names", "pg_timezone_names"),
}
REFUSED = {  # functions with effects, and those that tell of the process
    *("nextval", "setseed", "setval", "sleep_ms", "write_log", "getenv", "current_setting", "getvariable"),
}
EXPLAIN = re.compile(r"explain\s+(?:analyze\b\s*)?(?:\([^()]*\)\s*)?", re.IGNORECASE)


def admitted(cursor: DuckDBPyConnection, sql: str) -> tuple[str, bool]:
    """The statement without its semicolon, and whether it is a SELECT rather than an EXPLAIN. Raises ConfigError."""
    try:
        found = cursor.extract_statements(sql)
    except duckdb.Error as error:
        raise not_understood(error) from None
    if len(found) != 1:
        raise ConfigError(WHAT, why=f"it is {len(found)} statements", hint="ask one at a time")
    text, kind = _without_end(found[0].query), found[0].type.name
    if found[0].named_parameters:
        raise ConfigError(WHAT, why="it has parameters", hint="write the values into it")
    asked = text
    if kind == "EXPLAIN" and (start := EXPLAIN.match(text)):
        asked = text[start.end() :]
    elif kind == "MULTI":
        raise ConfigError(WHAT, why=ONLY, hint="PIVOT is, if it names its values: PIVOT t ON column IN (…)")
    elif kind != "SELECT":
        raise ConfigError(WHAT, why=f"{ONLY}, and it is {_article(kind)}")
    _check(cursor, asked)
    return text, kind == "SELECT"


def not_understood(error: Exception) -> ConfigError:
    """What DuckDB says of it, with the place."""
    return ConfigError("the SQL is wrong", why=str(error).strip())


def _without_end(text: str) -> str:
    encoded = text.encode()
    for place, kind in reversed(duckdb.tokenize(text)):
        if kind == duckdb.token_type.operator and encoded[place : place + 1] == b";":
            return encoded[:place].decode()
    return text


def _article(kind: str) -> str:
    return ("an " if kind[0] in "AEIOU" else "a ") + kind.replace("_", " ")


def _check(cursor: DuckDBPyConnection, select: str) -> None:
    [(told,)] = cursor.execute("SELECT json_serialize_sql($1)", [select]).fetchall()
    tree = json.loads(told)
    if tree["error"]:
        raise ConfigError(WHAT, why=ONLY)
    for node in _nodes(tree["statements"]):
        kind, name = str(node.get("type", "")), str(node.get("function_name", "")).lower()
        if kind.endswith("_QUERY_NODE"):  # of a WITH
            raise ConfigError(WHAT, why="it would change rows")
        if name in REFUSED:
            raise ConfigError(WHAT, why=f"the function {name} does more than look")
        if kind == "TABLE_FUNCTION":
            called = str(node["function"].get("function_name", "")).lower()
            if called not in TABLE_FUNCTIONS:
                raise ConfigError(
                    WHAT, why=f"the table function {called or '?'} is not one of those that may be used"
                )


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
