"""The demo from start to end: a shop, its replica, and the proof that they are equal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.live import Live

from cdc.commands import screen
from cdc.commands.background import Background
from cdc.daemon import Daemon
from cdc.demo import view
from cdc.demo.place import Place, kept_place, new_place, shown
from cdc.demo.workload import Workload
from cdc.errors import CdcError, Stopped
from cdc.status import Status

if TYPE_CHECKING:
    from cdc.report import Report

LOOK_SECONDS, PLAIN_SECONDS = 0.2, 2.0
FOLLOW_SECONDS = 60.0  # that the replica may take to come after the last change


@dataclass(frozen=True)
class Outcome:
    """What a demo found. Its `place` has been stopped; its files are there only if they are kept."""

    place: Place
    status: Status
    report: Report
    workload: Workload


def play(stop: threading.Event, *, seconds: float, rate: float, keep: bool) -> Outcome:
    """Run the demo. Raises Stopped if `stop` was set before the end."""
    with ExitStack() as opened:
        with _step("started PostgreSQL {} in {}") as told:
            place = opened.enter_context(new_place(keep=keep))
            told += [str(place.server.version), str(place.folder)]
        workload = opened.enter_context(Workload(place.dsn, rate, seconds))
        with _step("opened a shop of {} tables with {} rows") as told:
            rows = workload.shop.open()
            told += [str(len(rows)), screen.count(sum(rows.values()))]
        daemon = Daemon(place.configure())
        daemon_stop = threading.Event()  # `stop` is for the demo: the replica ends after it
        with Background(daemon, daemon_stop) as running:
            workload.start()
            _watch(running, workload, seconds, lambda: stop.is_set() or not _going_on(workload, daemon))
            running.check()
            if stop.is_set():
                raise Stopped("the demo was stopped")
            workload.stop()
            with _step("compared source and replica, row by row"):
                report = daemon.verify([])
            status = daemon.status()
    return Outcome(place, status, report, workload)


def _going_on(workload: Workload, daemon: Daemon) -> bool:
    """The shop is open, or the replica has not yet followed."""
    if workload.running:
        return True
    if workload.since_end > FOLLOW_SECONDS:
        why = f"{FOLLOW_SECONDS:.0f} s after the last change it is still behind"
        raise CdcError("the replica did not follow", why=why)
    status = daemon.status()
    return (
        not status.tables  # it has not even started
        or any(each.state != "live" for each in status.tables)
        or any(each.behind_seconds for each in status.warehouses)
    )


def _watch(running: Background, workload: Workload, seconds: float, over: Callable[[], bool]) -> None:
    """Show the demo until it is over, or the daemon has ended."""
    if screen.out.is_terminal:
        with Live(console=screen.out, refresh_per_second=8) as shown:
            while not over() and not running.wait(LOOK_SECONDS):
                shown.update(view.live(running.daemon.status(), workload, seconds))
            shown.update(view.live(running.daemon.status(), workload, seconds))
        return
    due = time.monotonic()
    while not over() and not running.wait(LOOK_SECONDS):
        if time.monotonic() >= due:
            due += PLAIN_SECONDS
            screen.out.print(view.plain(running.daemon.status(), workload))


def serve(folder: Path, stop: threading.Event) -> None:
    """Start the PostgreSQL of a kept demo, until `stop` is set."""
    with kept_place(folder) as place:
        screen.out.print(
            f"PostgreSQL {place.server.version} is running; Ctrl-C ends it. Meanwhile, elsewhere:"
        )
        for command in ("run", "status", "verify"):
            screen.out.print(f"  cdc {command} -c {shown(place.config_file)}")
        stop.wait()


@contextmanager
def _step(text: str) -> Iterator[list[str]]:
    """Says what was done and how long it took; what fills the text is known at the end."""
    began = time.monotonic()
    told: list[str] = []
    yield told
    screen.out.print(f"✓ {text.format(*told)} ({screen.seconds(time.monotonic() - began)})")
