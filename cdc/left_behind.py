"""Warehouses that were left behind so that the slot could go on (see `cdc.shedding`): how they are found again and taken back in,
and what becomes of the slot while there is no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
import structlog

from cdc import registry
from cdc.config import Config, SourceSettings, WarehouseSettings
from cdc.errors import CdcError, SourceError
from cdc.interfaces import Checkpoint, Mark, Warehouse
from cdc.lsn import Lsn, Position, format_lsn
from cdc.modes.parking import PREFIX, Parked, parked_tables
from cdc.origin import last_seen, recorded, unseen
from cdc.report import Report, TableReport
from cdc.shedding import Shedding
from cdc.source.advance import Goal, advance_slot
from cdc.source.capture import Capture
from cdc.source.connect import Side

log = structlog.get_logger()

KNOCK_SECONDS = 10.0  # between two questions to a warehouse whether it answers
ADVANCE_SECONDS = 1.0
NOBODY = "every warehouse is left behind: the slot goes on, and nothing is read until one of them answers"


def park(warehouse: Warehouse, table: str, reason: str) -> None:
    """Have a table left out from now on; durably. Raises as `Warehouse.commit` does."""
    state = warehouse.state()
    since = max((mark.position.commit_lsn for mark in state.marks.values()), default=0)
    before = parked_tables(state.controls).get(table, Parked())
    warehouse.commit(Checkpoint({}, {PREFIX + table: _parked(reason, since, before)}))


def take_in(warehouse: Warehouse, capture: Capture, confirmed: Lsn) -> None:
    """Have a warehouse go on from where the slot is: it lacks what is between, so all its tables are parked.

    Its mark comes along, so that whoever may still be stuck with an older transaction is refused when it commits.
    """
    state = warehouse.state()
    known, since = parked_tables(state.controls), recorded(state.controls)
    reason = (
        f"changes between {format_lsn(since)} and {format_lsn(confirmed)} are missing: "
        "the slot went on without this warehouse"
    )
    controls = {
        PREFIX + str(table): _parked(reason, since, known.get(str(table), Parked()))
        for table in capture.tables
    }
    origin = capture.origin.confirming(confirmed, unseen(state.controls), last_seen(state.controls))
    mark = Mark(Position(confirmed - 1, 0))  # a transaction whose commit begins at `confirmed` is yet to come
    warehouse.commit(Checkpoint({capture.origin.partition: mark}, {**controls, origin.key: origin.value}))


def _parked(reason: str, since: Lsn, before: Parked) -> bytes:
    return msgspec.json.encode(Parked(reason, format_lsn(since), before.rows))


def not_compared(report: Report, left: Mapping[str, str]) -> Report:
    """The report of a comparison, which a warehouse that is left behind has not come to."""
    tables = list(dict.fromkeys(each.table for each in report.tables))
    missing = [
        TableReport(
            table=table,
            warehouse=name,
            equal=False,
            source_rows=0,
            target_rows=0,
            problem=f"the warehouse is left behind: {why}",
            mend="it is taken in again once it answers; then `cdc resync` its tables",
        )
        for name, why in left.items()
        for table in tables
    ]
    return msgspec.structs.replace(
        report, equal=report.equal and not missing, tables=[*report.tables, *missing]
    )


class Knocking:
    """A thread that asks those who were left behind whether they answer; `again` is set when one does."""

    def __init__(self, config: Config, shedding: Shedding, again: threading.Event) -> None:
        self._warehouses = config.warehouses
        self._shedding = shedding
        self._again = again
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="knocking", daemon=True)

    def start(self) -> None:
        if self._shedding.enabled:
            self._thread.start()

    def close(self) -> None:
        """Ask no more. Does not wait for an answer."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(KNOCK_SECONDS):
            for name in self._shedding.left:
                if _answers(self._warehouses[name], name):
                    log.info("warehouse.back", warehouse=name)
                    self._shedding.back(name)
                    self._again.set()


def _answers(settings: WarehouseSettings, name: str) -> bool:
    try:
        warehouse = registry.load(settings.kind).connect(settings, name)
        try:
            warehouse.state()
        finally:
            warehouse.close()
    except CdcError as error:
        log.debug("warehouse.away", warehouse=name, error=str(error))
        return False
    return True


def stand_by(settings: SourceSettings, over: Callable[[], bool]) -> None:
    """Until `over`: have the slot go on without being read, so that the source's disk does not fill."""
    side = Side(settings)
    try:
        goal: Goal | None = None
        while not over():
            try:
                advance = partial(advance_slot, name=settings.slot, goal=goal)
                goal = side.run("the slot cannot be advanced", advance)
            except SourceError as error:
                log.warning("slot.not_advanced", error=str(error))
                goal = None
            time.sleep(ADVANCE_SECONDS)
    finally:
        side.close()
