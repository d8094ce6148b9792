"""Snowflake's words for the tables of marks and controls, for SQLAlchemy Core, whose dialect of it is a package of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import GenericTypeCompiler


class _Types(GenericTypeCompiler):
    def visit_large_binary(self, *_: Any, **__: Any) -> str:
        return "BINARY"


class SnowflakeDialect(DefaultDialect):
    """Parameters as the connector takes them."""

    name = "snowflake"
    default_paramstyle = "pyformat"
    type_compiler_cls = _Types
    supports_statement_cache = True
