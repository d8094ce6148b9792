"""What SQL warehouses share: identifiers. Plain strings; statements are each warehouse's own.

PostgreSQL's identifiers are any text without NUL, and differ by case. A target gets them as they are, quoted; where the target
takes some of them for the same, or already owns one, that is found here, before anything is created.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cdc.errors import TargetError
from cdc.schema import Table

METADATA = "_cdc"  # the schema that a warehouse keeps its marks and controls in


def quote(name: str) -> str:
    """An identifier in double quotes, whatever is in it: different names stay different."""
    if "\0" in name or not name:
        raise ValueError(f"{name!r} cannot be an identifier")
    return '"' + name.replace('"', '""') + '"'


def qualified(*names: str) -> str:
    """A dotted name of quoted identifiers."""
    return ".".join(map(quote, names))


def literal(text: str) -> str:
    """A string literal of standard SQL, in which backslashes mean themselves."""
    if "\0" in text:
        raise ValueError("a string literal cannot hold NUL")
    return "'" + text.replace("'", "''") + "'"


def ascii_lower(name: str) -> str:
    """Lower case of A to Z alone: what databases that ignore case do to identifiers."""
    return "".join(c.lower() if "A" <= c <= "Z" else c for c in name)


def check_table(table: Table, fold: Callable[[str], str]) -> None:
    """Raise TargetError unless the target can tell the table's names apart; `fold` gives names it takes for the same."""
    if fold(table.schema) == METADATA:
        raise TargetError(
            f"the schema {table.schema} is kept for cdc's own tables",
            where=table.full_name,
            hint="exclude it from [source] tables, or rename it",
        )
    if not table.columns:
        raise TargetError(
            "a table without columns cannot be created",
            where=table.full_name,
            hint="exclude it from [source] tables until it has one",
        )
    seen: dict[str, str] = {}
    for name in table.column_names:
        check_same_name("column", name, seen.setdefault(fold(name), name), table)


def check_same_name(what: str, wanted: str, present: str, table: Table) -> None:
    """Raise TargetError if the target has a name that it takes for the wanted one, though it is another."""
    if wanted != present:
        raise TargetError(
            f"the {what} {wanted!r} cannot be told from {present!r}",
            why="the target ignores the case of names",
            where=table.full_name,
            hint=f"rename one {what}, or leave it out by [source] exclude_{'columns' if what == 'column' else 'tables'}",
        )


def comma(parts: Iterable[str]) -> str:
    """Parts of a list in SQL."""
    return ", ".join(parts)
