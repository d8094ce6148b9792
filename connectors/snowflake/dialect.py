"""Snowflake's words for the tables of marks and controls, for SQLAlchemy Core, whose dialect of it is a package of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import GenericTypeCompiler, IdentifierPreparer


class _Types(GenericTypeCompiler):
    def visit_large_binary(self, *_: Any, **__: Any) -> str:
        return "BINARY"


class _Quoting(IdentifierPreparer):
    def _requires_quotes(self, *_: str) -> bool:
        """Always: unquoted names are in capitals there, and ours mean what they say."""
        return True


class SnowflakeDialect(DefaultDialect):
    """Parameters as the connector takes them."""

    preparer = _Quoting

    name = "snowflake"
    default_paramstyle = "pyformat"
    type_compiler_cls = _Types
    supports_statement_cache = True
