"""Columns that cannot become what the source's are now, and tables that cannot be kept by their rules."""

from __future__ import annotations

import msgspec
import pytest

from cdc.errors import ColumnRefused
from cdc.events import Truncate
from tests.unit.test_refusals import NUMERIC, K, Kept, T, U, insert


def test_a_table_whose_column_cannot_follow_is_parked() -> None:
    kept = Kept()
    kept.run(kept.batch(insert(T, "1", "a")), kept.batch(insert(NUMERIC, "2", "2"), insert(U, "1", "a")))
    assert kept.parked == {"public.t"}
    assert kept.rows() == [("1", "a")]
    assert kept.rows("public.u") == [("1", "a")]


def test_and_copied_anew_with_the_new_type() -> None:
    kept = Kept()
    kept.run(kept.batch(insert(T, "1", "a")), kept.batch(insert(NUMERIC, "2", "2")))
    kept.run(kept.chunk(NUMERIC, "3,3\n", first=True), kept.batch(insert(NUMERIC, "4", "4")))
    assert kept.rows() == [("3", "3"), ("4", "4")]
    kept.run(kept.batch(insert(NUMERIC, "5", "5")))
    assert kept.rows() == [("3", "3"), ("4", "4"), ("5", "5")]


def test_or_the_old_values_are_put_aside() -> None:
    kept = Kept(incompatible="new_column")
    kept.run(kept.batch(insert(T, "1", "a")), kept.batch(insert(T, "2", "b"), insert(NUMERIC, "3", "3")))
    kept.run(kept.batch(insert(NUMERIC, "4", "4")))
    assert kept.parked == set()
    stored = kept.warehouse.tables["public.t"]
    assert stored.columns == ["id", f"v__{NUMERIC.fingerprint[:8]}", "v"]
    assert kept.rows() == [("1", "a", None), ("2", "b", None), ("3", None, "3"), ("4", None, "4")]


def test_a_column_stops_the_line_if_the_rules_say_so() -> None:
    kept = Kept(incompatible="stop")
    with pytest.raises(ColumnRefused):
        kept.run(kept.batch(insert(T, "1", "a")), kept.batch(insert(NUMERIC, "2", "2")))


def test_a_table_that_cannot_be_kept_by_its_rules_is_parked() -> None:
    kept = Kept(mode="history")
    kept.run(kept.batch(insert(K, "1", "a"), insert(T, "1", "a")))
    assert kept.parked == {"public.k"}
    assert "history of a table without key" in kept.told[0][1]
    assert len(kept.rows()) == 1


def test_and_stays_so_when_it_is_emptied() -> None:
    kept = Kept(mode="history")
    batch = kept.batch(insert(K, "1", "a"), insert(T, "1", "a"))
    [begin, change, other, commit] = batch.events
    truncate = Truncate(K, begin, 1, 1)  # type: ignore[arg-type]
    kept.run(msgspec.structs.replace(batch, events=[begin, change, truncate, change, other, commit]))
    assert kept.parked == {"public.k"}
    assert len(kept.rows()) == 1
