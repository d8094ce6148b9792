"""PostgreSQL is the judge of values: what it prints is loaded into DuckDB, rendered back, and must be the same text.

Known gaps, each by a named rule and each proved below:

- timestamps beyond 294247-01-10 04:00:54.775806 (PostgreSQL ends in 294276), infinite intervals, and NaN in a numeric with
  precision are refused (`unrepresentable`);
- arrays of several dimensions, or with a lower bound other than 1, are refused by `arrays = "list"`; `"json"` takes the former;
- real and double come back as the same number, and are compared as 17 digits (`cdc.digest`), since DuckDB prints others;
- numerics without precision under `unconstrained_numeric = "decimal(p,s)"` forget with how many zeros they were written, and
  are refused if they have more digits.

More examples: CDC_EXAMPLES=1000 pytest tests/property/test_values.py. A failure prints the example and how to repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st

from cdc.errors import ValueRefused
from cdc.fold import Merge
from cdc.interfaces import Checkpoint
from connectors import duckdb
from connectors.duckdb.catalog import read_plan
from connectors.duckdb.names import Names
from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.property.trials import Judge, Trial, judge
from tests.property.values import ARRAYS, SCALARS, Case, array_texts, is_refused

__all__ = ["judge"]


class DuckDBTrial(Trial):
    def __init__(self, judge: Judge, type_name: str, **rules: str) -> None:
        super().__init__(judge, type_name, "t")
        self.settings = duckdb.Settings(path=":memory:", **rules)  # type: ignore[arg-type]
        self.warehouse: DuckDBWarehouse = duckdb.connect(self.settings, "trial")
        self.warehouse.evolve(self.table)
        self.warehouse.commit(Checkpoint())
        with self.warehouse.cursor() as cursor:
            plan = read_plan(Names(cursor, self.warehouse.database), self.table, self.settings)
        assert plan is not None
        self.kept_as = plan.columns[1]
        self.form, self.is_array = self.kept_as.form, self.kept_as.array

    def kept(self, texts: Sequence[bytes]) -> list[bytes]:
        """What DuckDB gives back for these texts; raises ValueRefused."""
        self.warehouse.evolve(self.table)
        rows = [(b"%d" % n, text) for n, text in enumerate(texts)]
        self.warehouse.apply(Merge(self.table, truncate=True, upserts=[*rows, (b"-1", None)]))
        self.warehouse.commit(Checkpoint())
        with self.warehouse.cursor() as cursor:
            text = self.kept_as.text_of('"v"')
            null, *found = cursor.execute(f"SELECT {text} FROM public.t ORDER BY id").fetchall()
        assert null == (None,)
        return [each.encode() for (each,) in found]

    def run(self, values: Sequence[str]) -> None:
        printed = self.printed(values)
        refused = [text for text, _ in printed if is_refused(self.table.columns[1].type, text, self.settings)]
        fine = [pair for pair in printed if pair[0] not in refused]
        assert self.kept([text for text, _ in fine]) == [form for _, form in fine]
        for text in refused:
            with pytest.raises(ValueRefused) as raised:
                self.kept([text])
            assert raised.value.rule in ("unrepresentable", "arrays")
            assert "public.t.v" in str(raised.value)


@pytest.mark.parametrize("case", SCALARS, ids=lambda case: case.type_name)
def test_values_come_back(judge: Judge, case: Case) -> None:
    trial = DuckDBTrial(judge, case.type_name, **case.rules)
    trial.run(case.extremes)
    trial.hold(st.lists(case.values, min_size=1, max_size=30))
    trial.warehouse.close()


@pytest.mark.parametrize(("case", "rule"), ARRAYS, ids=lambda each: getattr(each, "type_name", each))
def test_arrays_come_back(judge: Judge, case: Case, rule: str) -> None:
    trial = DuckDBTrial(judge, f"{case.type_name}[]", **{**case.rules, "arrays": rule})
    trial.hold(st.lists(array_texts(case), min_size=1, max_size=10))
    trial.warehouse.close()
