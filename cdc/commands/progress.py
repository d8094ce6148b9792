"""Shows how a snapshot goes: bars while it runs on a terminal, otherwise a log line now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import structlog
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from cdc.commands import screen
from cdc.status import Status, TableStatus

log = structlog.get_logger()

LOOK_SECONDS, IDLE_LOOK_SECONDS, LOG_SECONDS = 0.1, 1.0, 10.0
UNCOPIED, COPIED = ("new", "copying"), ("catching_up", "live")


class Watched(Protocol):
    """A daemon, here or elsewhere."""

    def wait(self, timeout: float) -> bool:
        """Is it over, at the latest after so many seconds?"""

    def status(self) -> Status: ...


def watch(running: Watched) -> None:
    """Show the snapshot until the daemon ends."""
    if screen.err.is_terminal:
        _watch_bars(running)
    else:
        _watch_lines(running)


def _watch_bars(running: Watched) -> None:
    with Progress(*columns(), console=screen.err, refresh_per_second=8) as progress:
        bars = Bars(progress)
        while not running.wait(IDLE_LOOK_SECONDS if bars.idle else LOOK_SECONDS):
            bars.update(running.status().tables)
        bars.update(running.status().tables)


def columns() -> Sequence[ProgressColumn]:
    """What a bar shows of its table."""
    return (TextColumn("{task.description}"), BarColumn(), _Rows(), _Rate(), _Left())


class Bars:
    """A bar for each table that is being copied; a line above them for each that was, in this run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._waiting: dict[str, TaskID | None] = {}
        self._looked = 0.0

    @property
    def idle(self) -> bool:
        """Nothing is copied, nor will be soon."""
        return bool(self._looked) and not self._waiting and time.monotonic() - self._looked > 5

    def update(self, tables: list[TableStatus]) -> None:
        """Show how far these tables are."""
        if tables and not self._looked:
            self._looked = time.monotonic()
        for table in tables:
            if table.state in UNCOPIED:
                self._waiting.setdefault(table.name, None)
            if table.state == "copying":
                self._advance(table)
            elif table.name in self._waiting and table.state in COPIED:
                self._finish(table)

    def _advance(self, table: TableStatus) -> None:
        bar, rows = self._waiting[table.name], table.rows_copied
        total = max(table.rows_estimated or 0, rows) or None
        if bar is None:
            bar = self._progress.add_task(table.name, total=total, completed=rows, already=rows)
            self._waiting[table.name] = bar
        self._progress.update(bar, completed=rows, total=total)

    def _finish(self, table: TableStatus) -> None:
        """The estimate is forgotten, the number stays."""
        bar = self._waiting.pop(table.name)
        took = ""
        if bar is not None:
            took = f" in {screen.seconds(self._progress.tasks[self._progress.task_ids.index(bar)].elapsed)}"
            self._progress.remove_task(bar)
        self._progress.console.print(f"copied {table.name}: {screen.count(table.rows_copied)} rows{took}")


class _Rows(ProgressColumn):
    def render(self, task: Task) -> Text:
        of = f" of ~{screen.count(task.total)}" if task.total and not task.finished else ""
        return Text(f"{screen.count(task.completed)}{of} rows")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        rows = task.completed - task.fields.get("already", 0)
        return Text(f"{screen.count(rows / task.elapsed if task.elapsed else 0)}/s", "dim")


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text("" if task.finished or left is None else f"{screen.seconds(left)} left", "cyan")


def _watch_lines(running: Watched) -> None:
    told: dict[str, str] = {}
    before: dict[str, int] = {}
    due = time.monotonic() + LOG_SECONDS
    while not running.wait(IDLE_LOOK_SECONDS):
        tables = running.status().tables
        _tell_changes(tables, told)
        if time.monotonic() >= due:
            due += LOG_SECONDS
            for table in tables:
                if table.state == "copying":
                    log.info("table.copying", table=table.name, **pace(table, before.get(table.name)))
            before = {table.name: table.rows_copied for table in tables}
    _tell_changes(running.status().tables, told)


def pace(table: TableStatus, before: int | None) -> dict[str, int]:
    """How far a copy is; and how fast and when it will be done, where it is known how far it was at the line `before`."""
    rows, of = table.rows_copied, table.rows_estimated
    told = {"rows": rows} if of is None else {"rows": rows, "of": of}
    if before is not None and rows > before:
        rate = (rows - before) / LOG_SECONDS
        told["rows_per_second"] = round(rate)
        if of is not None and of > rows:
            told["seconds_left"] = round((of - rows) / rate)
    return told


def _tell_changes(tables: list[TableStatus], told: dict[str, str]) -> None:
    """A line for each table whose state is another than when told last."""
    for table in tables:
        if told.get(table.name) not in (None, table.state):
            log.info("table.state", table=table.name, state=table.state, rows_copied=table.rows_copied)
        told[table.name] = table.state
