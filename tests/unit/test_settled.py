"""What differs is compared again: a row is equal if it was so once."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.report import Report, TableReport
from cdc.settled import ROUNDS, settled


def table(
    *different: str, name: str = "public.t", count: int | None = None, problem: str = ""
) -> TableReport:
    return TableReport(
        table=name,
        warehouse="w",
        equal=not different and not problem,
        source_rows=9,
        target_rows=9,
        different=len(different) if count is None else count,
        different_keys=list(different),
        problem=problem,
    )


class Rounds:
    """Gives these reports, the last one again and again."""

    def __init__(self, *rounds: list[TableReport]) -> None:
        self.rounds = list(rounds)
        self.asked: list[list[str]] = []

    def __call__(self, tables: Sequence[str]) -> Report:
        self.asked.append(list(tables))
        found = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        return Report(equal=all(each.equal for each in found), lsn="0/1", seconds=0.5, tables=found)


def compared(*rounds: list[TableReport]) -> tuple[Report, Rounds]:
    compare = Rounds(*rounds)
    return settled(compare, ["public.*"], pause=lambda _: None), compare


def test_equal_at_once_is_compared_once() -> None:
    report, compare = compared([table()])
    assert report.equal
    assert compare.asked == [["public.*"]]


def test_rows_that_change_all_the_time_are_equal_if_each_was_so_once() -> None:
    report, compare = compared(
        [table("1", "2"), table(name="public.u")], [table("2", "3")], [table("3", "1")]
    )
    assert report.equal
    assert [each.table for each in report.tables] == ["public.t", "public.u"]
    assert compare.asked == [["public.*"], ["public.t"], ["public.t"]]


def test_a_row_that_always_differs_is_told_alone() -> None:
    report, compare = compared([table("1", "2")], [table("2", "3")])
    assert not report.equal
    assert (report.tables[0].different, report.tables[0].different_keys) == (1, ["2"])
    assert len(compare.asked) == ROUNDS


def test_more_rows_than_are_named_stay_different() -> None:
    report, _ = compared([table("1", count=50)], [table("2", count=50)])
    assert not report.equal
    assert report.tables[0].different == 50


def test_what_cannot_be_compared_is_not_tried_again() -> None:
    report, compare = compared([table(problem="parked")])
    assert not report.equal
    assert len(compare.asked) == 1
