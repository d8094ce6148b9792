"""`cdc status` and `cdc lag`: what the daemon says, or what can be seen without one."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cdc.ask import ask_status
from cdc.commands import screen
from cdc.commands.options import ConfigFile, Json, settings
from cdc.commands.stop import stop_on_signals
from cdc.config import Config
from cdc.errors import EXIT_FAILED
from cdc.status import Status, lag_of

WATCH_SECONDS = 1.0
ABOUT_TABLES = ("schema_change", "dead_letter")  # kinds of notes
NOTES_SHOWN = 10
MENDED = "it is taken in again once it answers; then `cdc resync` its tables"


def status(config_file: ConfigFile = None, json: Json = False) -> None:
    """Show the source, each table and each warehouse.

    Asks the daemon at the address [http] listen. Without a daemon it shows what the replication slot says,
    and what the warehouse says if no other program has it open.

    Examples:

      cdc status

      cdc status --json | jq '.tables[] | select(.state != "live")'
    """
    found, _ = _find(settings(config_file, quiet=True))
    if json:
        screen.show_json(found)
    else:
        screen.show(whole(found))


def lag(
    config_file: ConfigFile = None,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")
    ] = False,
    max_seconds: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Exit with 1 if a warehouse is further behind."),
    ] = None,
) -> None:
    """Show how far each warehouse is behind the source.

    "behind" is 0 only when everything that was received is committed in the warehouse. The percentiles are
    from commit in the source to commit in the warehouse, over the last minutes.

    Examples:

      cdc lag --watch

      cdc lag --max-seconds 60 || page-somebody
    """
    config = settings(config_file, quiet=True)
    found, running = _find(config)
    if watch:
        _watch(config, found, json=json)
    elif json:
        screen.show_json(lag_of(found))
    else:
        screen.show(Group(*_notes(found), lags(found)))
    if max_seconds is not None:
        behind = [each.behind_seconds for each in found.warehouses]
        if not running or any(seconds is None or seconds > max_seconds for seconds in behind):
            raise typer.Exit(EXIT_FAILED)


def _find(config: Config) -> tuple[Status, bool]:
    """The status, and whether it is a daemon's."""
    found = ask_status(config)
    if found is not None:
        return found, True
    from cdc.commands.offline import look

    return look(config), False


def _watch(config: Config, found: Status, *, json: bool) -> None:
    """Until a signal; an exception would be lost if it came at a moment in which a driver cannot raise one."""
    with stop_on_signals(doing="") as stop:
        if json or not screen.out.is_terminal:
            while True:
                screen.show_json(lag_of(found)) if json else screen.show(lags(found))
                if stop.wait(WATCH_SECONDS):
                    return
                found, _ = _find(config)
        with Live(console=screen.out, auto_refresh=False) as shown:
            while True:
                shown.update(Group(*_notes(found), lags(found)), refresh=True)
                if stop.wait(WATCH_SECONDS):
                    return
                found, _ = _find(config)


def whole(found: Status) -> RenderableType:
    """The status for people."""
    facts = Table.grid(padding=(0, 2))
    source = found.source
    facts.add_row("daemon", Text.assemble(screen.state(found.state), _since(found)))
    facts.add_row("source", f"{source.server}, slot {source.slot} ({source.plugin})")
    facts.add_row("", Text(_slot(found), "dim"))
    for each in found.warehouses:
        facts.add_row("warehouse", f"{each.name}: {each.target}")
        applied = (
            f"applied up to {each.applied_lsn}"
            if each.applied_lsn not in (None, "0/0")
            else "nothing applied yet"
        )
        facts.add_row("", Text(applied, "dim"))
        if each.parked:
            facts.add_row("", Text(f"left behind: {each.parked} ({MENDED})", "red"))
        if each.dead_letters:
            left_out = f"{screen.count(each.dead_letters)} row{'s' * (each.dead_letters > 1)} left out"
            told = (
                f"{left_out}, see {each.dead_letters_in}; `cdc resync TABLE` copies what can be kept by now"
            )
            facts.add_row("", Text(told, "red"))
    parts: list[RenderableType] = [*_notes(found), facts, "", tables(found)]
    if found.state != "stopped" or any(each.records_behind is not None for each in found.warehouses):
        parts += ["", lags(found)]
    return Group(*parts)


def tables(found: Status) -> RenderableType:
    """A row per table; below it what a parked one needs."""
    counts = () if found.state == "stopped" else ("inserts", "updates", "deletes", "truncates")
    numbers = ("copied", *counts)
    made = screen.table("table", "state", *numbers, right=numbers)
    parts: list[RenderableType] = [made]
    for each in found.tables:
        copied = screen.count(each.rows_copied)
        if each.state == "copying" and each.rows_estimated:
            copied += f" of ~{screen.count(each.rows_estimated)}"
        done = (screen.count(getattr(each, name)) for name in counts)
        made.add_row(each.name, screen.state(each.state), copied, *done)
        if each.reason:
            parts.append(Text(f"{each.name}: {each.reason} ({each.mend})", "red"))
    shown = [note for note in found.notes if note.kind in ABOUT_TABLES][:NOTES_SHOWN]
    for note in reversed(shown):
        parts.append(
            Text(f"{note.table}{f' in {note.warehouse}' if note.warehouse else ''}: {note.text}", "yellow")
        )
    return Group(*parts)


def lags(found: Status) -> RenderableType:
    """A row per warehouse."""
    numbers = ("behind", "lag p50", "p95", "p99", "rows/s", "rows applied")
    log = any(each.records_behind is not None for each in found.warehouses)
    headings = (*numbers, *["records behind"] * log)
    made = screen.table("warehouse", *headings, right=headings)
    for each in found.warehouses:
        times = (each.behind_seconds, each.lag_p50, each.lag_p95, each.lag_p99)
        rates = [screen.count(each.rows_per_second), screen.count(each.rows_applied)]
        if log:
            rates.append("?" if each.records_behind is None else screen.count(each.records_behind))
        made.add_row(each.name, *(screen.seconds(value) for value in times), *rates)
    return made


def _notes(found: Status) -> list[Text]:
    notes = []
    if found.state == "stopped":
        behind = (
            ""
            if found.source.behind_bytes is None
            else f"; the slot is {screen.size(found.source.behind_bytes)} behind"
        )
        notes.append(Text(f"no daemon is running{behind}", "yellow"))
    notes += [Text(line, "red") for line in found.error.splitlines()]
    return notes


def _since(found: Status) -> str:
    if found.started is None:
        return ""
    return f" for {screen.seconds(time.time() - found.started)}, process {found.pid}, cdc {found.version}"


def _slot(found: Status) -> str:
    source = found.source
    if source.confirmed_lsn is None and source.received_lsn is None:
        return (
            "there is no such slot yet: `cdc init` or `cdc run` makes it" if found.state == "stopped" else ""
        )
    said = [f"confirmed up to {source.confirmed_lsn or 'nothing yet'}"]
    if source.behind_bytes is not None:
        said.append(f"{screen.size(source.behind_bytes)} behind")
    if source.retained_bytes is not None:
        said.append(f"the server keeps {screen.size(source.retained_bytes)} of WAL for it")
    if source.wal_status not in (None, "reserved", "extended"):
        said.append(f"WAL is {source.wal_status}")
    if found.state == "stopped" and source.active:
        said.append("somebody streams from it")
    return ", ".join(said)
