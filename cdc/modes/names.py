"""Names in the target: schemas mapped, a prefix, one case; and no two tables under one name."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Protocol

from cdc.errors import ConfigError, TargetError
from cdc.modes.settings import Case, Rules, TableRules

DEAD_LETTERS = "_cdc_dead_letters"


class Naming(Protocol):
    """The part of `[warehouses.NAME]` that says how tables are named and kept."""

    @property
    def schemas(self) -> dict[str, str]: ...
    @property
    def prefix(self) -> str: ...
    @property
    def case(self) -> Case: ...
    @property
    def tables(self) -> dict[str, TableRules]: ...


def folded(name: str, case: Case) -> str:
    """A name in the case that is wished for."""
    return {"lower": name.lower, "upper": name.upper}.get(case, lambda: name)()


def table_rules(settings: Naming, full_name: str) -> TableRules:
    """What is said of one table: under its own name, or by the first glob that names it."""
    if full_name in settings.tables:
        return settings.tables[full_name]
    globs = (rules for glob, rules in settings.tables.items() if fnmatchcase(full_name, glob))
    return next(globs, TableRules())


def rules_of(settings: Any, full_name: str) -> Rules:
    """The rules for one table: its own, where there are some, before the warehouse's."""
    own = table_rules(settings, full_name)
    values = {}
    for field in Rules.__struct_fields__:
        value = getattr(own, field)
        values[field] = getattr(settings, field) if value is None else value
    return Rules(**values)


def target_name(settings: Naming, schema: str, name: str) -> tuple[str, str]:
    """Schema and name of a table in the target. What a person wrote for it is taken as it is."""
    mapped = settings.schemas.get(schema, folded(schema, settings.case))
    own = table_rules(settings, f"{schema}.{name}").target
    if own:
        first, _, second = own.rpartition(".")
        return first or mapped, second
    return mapped, folded(settings.prefix + name, settings.case)


def check_names(
    settings: Naming, tables: Iterable[tuple[str, str]], where: str, *, ignore_case: bool = False
) -> None:
    """Raise ConfigError if two tables would be one in the target."""
    taken: dict[tuple[str, str], str] = {}
    for schema, name in tables:
        full_name = f"{schema}.{name}"
        target = target_name(settings, schema, name)
        key = (target[0].lower(), target[1].lower()) if ignore_case else target
        other = taken.setdefault(key, full_name)
        if other != full_name:
            raise ConfigError(
                f"{other} and {full_name} would be the same table {'.'.join(target)}",
                why="the target ignores the case of names" if ignore_case else "",
                where=where,
                hint=f'give one another name: [{where}.tables."{full_name}"] target = "…", or exclude it',
            )


class Taken:
    """Which table has which name in the target, as tables come by."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], str] = {}

    def take(self, target: tuple[str, str], full_name: str) -> None:
        """Raise TargetError if another table has it."""
        other = self._of.setdefault(target, full_name)
        if other != full_name or target[1] == DEAD_LETTERS:
            whose = "a table of cdc's own" if other == full_name else other
            raise TargetError(
                f"its name in the target would be {'.'.join(target)}, as that of {whose}",
                where=full_name,
                hint='give it another: [warehouses.NAME.tables."schema.table"] target = "…", or exclude it',
            )
