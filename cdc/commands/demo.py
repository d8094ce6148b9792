"""`cdc demo`: everything at once, on a PostgreSQL of its own; nothing of yours is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cdc import logs
from cdc.commands import screen
from cdc.commands.stop import stop_on_signals
from cdc.config import LogSettings
from cdc.errors import EXIT_DIFFERENT, Stopped

STOPPED = 130


def demo(
    seconds: Annotated[float, typer.Option(min=1, max=86400, help="How long the shop does business.")] = 20,
    rate: Annotated[float, typer.Option(min=1, max=1e6, help="Rows that it changes per second.")] = 1000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the files, to go on with the other commands.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Only start the PostgreSQL of a demo that was kept.")
    ] = None,
) -> None:
    """Watch a replica follow: PostgreSQL into DuckDB, live, and compared at the end. Under a minute.

    Starts a PostgreSQL in a temporary folder, opens a shop in it, copies it into a DuckDB file while the
    shop does business (inserts, updates, deletes, changed keys, large values, a truncate, an added column,
    a rolled-back transaction), then stops and compares every row. Ends with 0 only if all are equal.
    Nothing of yours is touched, and nothing is left behind unless you --keep it.

    Examples:

      cdc demo

      cdc demo --seconds 60 --rate 20000

      cdc demo --keep
    """
    logs.configure(LogSettings(level="warning"))
    from cdc.demo import play, view

    with stop_on_signals("cleaning up") as stop:
        if source is not None:
            play.serve(source, stop)
            return
        try:
            outcome = play.play(stop, seconds=seconds, rate=rate, keep=keep)
        except Stopped as stopped:
            screen.err.print("stopped before the end; nothing was compared")
            raise typer.Exit(STOPPED) from stopped
    view.summary(outcome)
    if not outcome.report.equal:
        raise typer.Exit(EXIT_DIFFERENT)
