"""Names in the target, rules of single tables, and the texts of our own columns."""

from __future__ import annotations

import pytest

from cdc.errors import ConfigError, TargetError
from cdc.modes.names import check_names, target_name
from cdc.modes.settings import TableRules
from cdc.modes.shaping import Modes
from cdc.modes.stamp import copy_text, position_text, time_text
from cdc.schema import Column, Table
from tests.unit.test_modes import ID, KEYLESS, TABLE, TEXT, settings


def test_names() -> None:
    wanted = settings(
        schemas={"public": "Shop"},
        prefix="src_",
        case="upper",
        tables={"public.a": TableRules(target="first"), "public.[bc]": TableRules(target="x.Other")},
    )
    assert target_name(wanted, "public", "Orders") == ("Shop", "SRC_ORDERS")
    assert target_name(wanted, "other", "Orders") == ("OTHER", "SRC_ORDERS")
    assert target_name(wanted, "public", "a") == ("Shop", "first")
    assert target_name(wanted, "public", "b") == ("x", "Other")
    shape = Modes(wanted, {}, lambda: 0).shape(TABLE)
    assert (shape.target.full_name, shape.target.column_names) == ("Shop.SRC_T", ("ID", "BODY"))


def test_two_tables_of_one_name_are_found_at_the_start() -> None:
    tables = [("public", "t"), ("public", "T"), ("other", "t")]
    check_names(settings(), tables, "warehouses.local")
    with pytest.raises(ConfigError, match=r"public\.t and public\.T would be the same table"):
        check_names(settings(), tables, "warehouses.local", ignore_case=True)
    with pytest.raises(ConfigError, match=r"public\.t and other\.t would be the same table all\.t"):
        check_names(settings(schemas={"public": "all", "other": "all"}), tables, "warehouses.local")


def test_and_those_that_come_later_when_they_come() -> None:
    modes = Modes(settings(case="lower"), {}, lambda: 0)
    modes.shape(TABLE)
    with pytest.raises(TargetError, match=r"its name in the target would be public\.t, as that of public\.t"):
        modes.shape(Table("public", "T", (ID,)))
    with pytest.raises(TargetError, match="a table of cdc's own"):
        modes.shape(Table("public", "_cdc_dead_letters", (ID,)))


def test_columns_of_one_name_are_refused() -> None:
    upper = Table("public", "t", (ID, Column("ID", TEXT)))
    with pytest.raises(TargetError, match="columns 'id' and 'ID' would both be id"):
        Modes(settings(case="lower"), {}, lambda: 0).shape(upper)
    ours = Table("public", "t", (ID, Column("_cdc_op", TEXT)))
    Modes(settings(), {}, lambda: 0).shape(ours)
    with pytest.raises(TargetError, match="would both be _cdc_op"):
        Modes(settings(metadata=["op"]), {}, lambda: 0).shape(ours)


def test_a_history_needs_a_key() -> None:
    with pytest.raises(TargetError, match="history of a table without key"):
        Modes(settings(mode="history"), {}, lambda: 0).shape(KEYLESS)


def test_rules_of_single_tables_come_before_those_of_the_warehouse() -> None:
    tables = {"public.*": TableRules(mode="append"), "public.t": TableRules(metadata=["op"])}
    modes = Modes(settings(mode="history", metadata=["synced_at"], tables=tables), {}, lambda: 0)
    assert modes.shape(TABLE).rules.mode == "history"
    assert modes.shape(TABLE).rules.metadata == ["op"]
    assert modes.shape(Table("public", "u", (ID,))).rules.mode == "append"


def test_a_plain_upsert_keeps_the_sources_own_shape() -> None:
    assert Modes(settings(), {}, lambda: 0).shape(TABLE).target is TABLE


def test_positions_sort_as_they_came_and_copies_come_between_transactions() -> None:
    texts = [
        position_text(1, 1),
        position_text(1, 10),
        position_text(1, 16),
        copy_text(1, 1),
        copy_text(1, 2),
    ]
    texts += [position_text(15, 1), position_text(16, 1), position_text(1 << 63, 1)]
    assert texts == sorted(texts)


def test_times_are_told_as_postgresql_does() -> None:
    assert time_text(0) == b"1970-01-01 00:00:00+00"
    assert time_text(1_700_000_000_120_000) == b"2023-11-14 22:13:20.12+00"
    assert time_text(-1) == b"1969-12-31 23:59:59.999999+00"
