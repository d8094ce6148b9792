"""Names: quoting loses nothing, and two tables are one in the target exactly when the check at the start says so."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.config import WarehouseSettings
from cdc.errors import ConfigError
from cdc.modes.names import check_names, target_name
from cdc.modes.settings import Case, TableRules
from connectors.sql import qualified, quote

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
few = st.text(st.sampled_from('aAbB."_é'), min_size=1, max_size=3)


def unquoted(text: str) -> list[str]:
    """The inverse of `qualified`, by the rule of standard SQL."""
    parts = re.findall(r'"((?:[^"]|"")*)"(?:\.|$)', text)
    return [part.replace('""', '"') for part in parts]


@given(st.lists(st.one_of(names, few), min_size=1, max_size=3))
def test_quoting_loses_nothing(parts: list[str]) -> None:
    assert unquoted(qualified(*parts)) == parts
    assert [unquoted(quote(part)) for part in parts] == [[part] for part in parts]


@given(
    st.lists(st.tuples(few, few), min_size=2, max_size=4, unique=True),
    st.sampled_from(["keep", "lower", "upper"]),
    st.dictionaries(few, few, max_size=2),
    st.dictionaries(st.sampled_from(["a.a", "a.b", "?.a", "*"]), st.sampled_from(["x", "x.y"]), max_size=1),
    st.booleans(),
)
def test_tables_that_would_be_one_are_found(
    tables: list[tuple[str, str]],
    case: Case,
    schemas: dict[str, str],
    targets: dict[str, str],
    ignore_case: bool,
) -> None:
    rules = {glob: TableRules(target=target) for glob, target in targets.items()}
    settings = WarehouseSettings(kind="any", case=case, schemas=schemas, tables=rules)
    wanted = [target_name(settings, *table) for table in tables]
    if ignore_case:
        wanted = [(schema.lower(), name.lower()) for schema, name in wanted]
    if len(set(wanted)) == len(wanted):
        check_names(settings, tables, "warehouses.any", ignore_case=ignore_case)
    else:
        with pytest.raises(ConfigError, match="would be the same table"):
            check_names(settings, tables, "warehouses.any", ignore_case=ignore_case)
