"""Debezium's recordings replayed: our records are equal but for those that docs/events.md names, with the harm of copying them.

`CDC_PARITY=FOLDER` replays the recordings of another folder, and tells all that is not equal.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.fixtures.parity import LOCALE, Case, cases, replay
from tests.fixtures.parity_records import compare, encode, expected_records
from tests.fixtures.postgres import PostgresServer, fresh_database

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests/golden/debezium"
FOLDERS = (
    [Path(os.environ["CDC_PARITY"])]
    if "CDC_PARITY" in os.environ
    else [GOLDEN, ROOT / "tests/golden/debezium_more"]
)
CASES = [case for folder in FOLDERS for case in cases(folder)]
ROW = re.compile(r"^\| (\w+(?:\.schema)?\.jsonl) \| (\d+(?:, \d+)*) \|", re.MULTILINE)


def unequal(case: Case) -> set[str]:
    """The records of a case that the docs name, as `FILE #number`."""
    if case.folder != GOLDEN:
        return set()
    rows = ROW.findall((ROOT / "docs/events.md").read_text())
    own = (f"{case.name}.jsonl", f"{case.name}.schema.jsonl")
    return {f"{file} #{number}" for file, numbers in rows if file in own for number in numbers.split(", ")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_records_are_those_of_debezium(case: Case, postgres15: PostgresServer) -> None:
    with fresh_database(postgres15, LOCALE) as database:
        events = replay(case, database)
    found, told = set(), []
    for kind, schemas in ((".jsonl", False), (".schema.jsonl", True)):
        recorded = case.recorded(kind)
        if recorded:
            ours = expected_records(case, encode(case, events, schemas=schemas), recorded)
            _, different = compare(recorded, ours)
            found |= {f"{case.name}{kind} #{number}" for number, _ in different}
            told += [text for _, text in different]
    assert found == unequal(case), "\n".join(told)


def test_at_least_97_of_100_are_equal() -> None:
    named = sum(len(unequal(case)) for case in cases(GOLDEN))
    recorded = sum(len(case.recorded(kind)) for case in cases(GOLDEN) for kind in (".jsonl", ".schema.jsonl"))
    assert recorded == 1030
    assert named <= recorded * 3 // 100
