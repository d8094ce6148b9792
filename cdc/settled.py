"""`cdc verify` where reader and appliers are apart: nobody can have the warehouses stand at the LSN of the comparison.

The source is held at an LSN, the warehouses have that and perhaps some more. So a row that differs may only have changed
since: what differs is compared again, at a later LSN, and again. A row is equal if it was so at one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from cdc.config import SourceSettings
from cdc.errors import CdcError, SourceUnavailable
from cdc.interfaces import View
from cdc.lsn import Lsn, format_lsn, parse_lsn
from cdc.meeting import Meet
from cdc.report import Report, TableReport
from cdc.source.connect import Side
from cdc.source.slot_status import slot_status

ROUNDS, PAUSE = 8, 1.0
LOOK = 0.1
KINDS = ("missing", "unexpected", "different")

Compare = Callable[[Sequence[str]], Report]


def settled(compare: Compare, tables: Sequence[str], pause: Callable[[float], None] = time.sleep) -> Report:
    """Compare until nothing differs that was not equal once, or for some rounds. `compare` is told the tables."""
    report = compare(tables)
    for _ in range(ROUNDS - 1):
        unequal = {each.table for each in report.tables if not each.equal and not each.problem}
        if not unequal:
            break
        pause(PAUSE)
        report = _together(report, compare(sorted(unequal)))
    return report


def _together(before: Report, after: Report) -> Report:
    """What differs in both."""
    again = {(each.table, each.warehouse): each for each in after.tables}
    tables = []
    for each in before.tables:
        other = again.get((each.table, each.warehouse))
        tables.append(each if other is None or each.equal else _both(each, other))
    return Report(
        equal=bool(tables) and all(each.equal for each in tables),
        lsn=after.lsn,
        seconds=round(before.seconds + after.seconds, 3),
        tables=tables,
    )


def _both(before: TableReport, after: TableReport) -> TableReport:
    """Keys that differ in both, if each report names all of its keys."""
    if after.equal or after.problem or not (_names_all(before) and _names_all(after)):
        return after
    differing = {key for kind in KINDS for key in getattr(before, f"{kind}_keys")}
    kept = {
        f"{kind}_keys": [key for key in getattr(after, f"{kind}_keys") if key in differing] for kind in KINDS
    }
    counts = {kind: len(kept[f"{kind}_keys"]) for kind in KINDS}
    return msgspec.structs.replace(after, **kept, **counts, equal=not any(counts.values()))


def _names_all(report: TableReport) -> bool:
    return not report.sampled and all(
        getattr(report, kind) == len(getattr(report, f"{kind}_keys")) for kind in KINDS
    )


def meet_later(
    settings: SourceSettings, applied: Callable[[float], None], views: Callable[[], Mapping[str, View]]
) -> Meet:
    """A meeting at the LSN or somewhat later: once the reader, wherever it is, has published all below it.

    `applied` returns when all that is published by then is in the warehouses.
    """

    def meet(ask: Callable[[], Lsn], timeout: float) -> Mapping[str, View]:
        deadline = time.monotonic() + timeout
        _await_published(settings, ask(), deadline)
        applied(max(deadline - time.monotonic(), 0.0))
        return views()

    return meet


def _await_published(settings: SourceSettings, lsn: Lsn, deadline: float) -> None:
    """The slot is confirmed up to what has been published."""
    side = Side(settings)
    try:
        while True:
            slot = side.run("cannot read the slot", lambda connection: slot_status(connection, settings))
            if slot.confirmed_lsn is None:
                raise CdcError(f"there is no slot {settings.slot!r}", hint="is `cdc read` running?")
            if parse_lsn(slot.confirmed_lsn) >= lsn:
                return
            if time.monotonic() > deadline:
                raise SourceUnavailable(
                    f"the reader has not published what is below {format_lsn(lsn)}",
                    why=f"slot {settings.slot!r} is confirmed to {slot.confirmed_lsn}",
                    hint="is `cdc read` running? See `cdc status`",
                )
            time.sleep(LOOK)
    finally:
        side.close()
