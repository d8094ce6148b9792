"""PostgreSQL is the judge of values: what it prints comes back from SQLite and MariaDB as it was, or is refused by a named rule.

Known gaps, all of MariaDB: NaN and infinities of real, double and numeric with precision, and dates and times that are infinite,
BC, or after the year 9999. They are refused (`unrepresentable`), each of them and nothing else. And -0 becomes 0.

More examples: CDC_EXAMPLES=1000 pytest tests/property/test_values_sqlalchemy.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.dead_letters import without_refused
from cdc.fold import Merge
from cdc.interfaces import Checkpoint
from connectors import sqlalchemy
from connectors.sqlalchemy.warehouse import SQLWarehouse
from tests.property.trials import Judge, Trial, judge, quickly
from tests.property.values import SCALARS, Case, array_texts

__all__ = ["judge"]

CASES = list({case.type_name: case for case in SCALARS}.values())
FLOATS = ("float4", "float8")
TIMES = ("date", "timestamp", "timestamptz")
BEYOND = re.compile(rb"infinity|BC|^\d{5,}", re.IGNORECASE)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SQLWarehouse]:
    url = f"sqlite:///{tmp_path_factory.mktemp('values') / 'values.db'}"
    if request.param == "mariadb":
        server = request.getfixturevalue("mariadb_server")
        server.empty()
        url = server.url
    with closing(sqlalchemy.connect(sqlalchemy.Settings(url=url), "judged")) as opened:
        yield opened


class SQLTrial(Trial):
    def __init__(self, judge: Judge, warehouse: SQLWarehouse, type_name: str) -> None:
        super().__init__(judge, type_name, re.sub(r"\W+", "_", type_name))
        self.target = warehouse
        warehouse.evolve(self.table)
        warehouse.commit(Checkpoint())
        with closing(warehouse.view()) as view:
            forms = view.forms(self.table)
        assert forms
        self.form = forms[1]

    def run(self, values: Sequence[str]) -> None:
        printed = self.printed(values)
        rows: list[Any] = [(b"%d" % n, text) for n, (text, _) in enumerate(printed)]
        merge = Merge(self.table, upserts=[*rows, (b"-1", None)])
        good, refused = without_refused(self.target, merge)
        wanted = {number for number, text in rows if self.is_refused(text)}
        assert {row[0] for row, _ in refused} == wanted
        for _, error in refused:
            assert error.rule == "unrepresentable"
            assert f"{self.table.full_name}.v" in str(error)
        good.truncate = True
        self.target.evolve(self.table)
        self.target.apply(good)
        self.target.commit(Checkpoint())
        with closing(self.target.view()) as view, closing(view.texts(self.table)) as texts:  # type: ignore[attr-defined]
            found = dict(map(tuple, texts))
        assert found.pop(b"-1") is None
        forms = {b"%d" % n: form for n, (_, form) in enumerate(printed)}
        assert found == {number: form for number, form in forms.items() if number not in wanted}

    def is_refused(self, text: bytes) -> bool:
        kind = self.table.columns[1].type
        if not self.target.family.is_mysql or kind.element is not None:
            return False
        if kind.kind in FLOATS or (kind.kind == "numeric" and kind.precision):
            return text in (b"NaN", b"Infinity", b"-Infinity")
        return kind.kind in TIMES and bool(BEYOND.search(text))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.type_name)
def test_values_come_back(judge: Judge, warehouse: SQLWarehouse, case: Case) -> None:
    trial = SQLTrial(judge, warehouse, case.type_name)
    trial.run(case.extremes)
    trial.hold(st.lists(case.values, min_size=1, max_size=30))


def test_arrays_come_back(judge: Judge, warehouse: SQLWarehouse) -> None:
    """All are kept as PostgreSQL's text."""
    for case in CASES:
        trial = SQLTrial(judge, warehouse, f"{case.type_name}[]")
        trial.run([case_text for case_text in ("{}", "{NULL}", "[0:1]={1,2}")])

    trials = st.sampled_from(CASES).flatmap(
        lambda case: st.tuples(st.just(case), st.lists(array_texts(case), min_size=1, max_size=10))
    )

    @quickly
    @given(trials)
    def run(given_: tuple[Case, list[str]]) -> None:
        case, values = given_
        SQLTrial(judge, warehouse, f"{case.type_name}[]").run(values)

    run()
