"""`cdc verify`: source and target compared at one LSN, row by row in effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import typer
from rich.console import RenderableType
from rich.text import Text

from cdc.ask import ask_status, ask_verify
from cdc.commands import screen
from cdc.commands.background import Background
from cdc.commands.options import ConfigFile, Json, Tables, settings
from cdc.commands.stop import stop_on_signals
from cdc.config import Config
from cdc.errors import EXIT_DIFFERENT, CdcError
from cdc.report import Report, TableReport
from cdc.status import Status

STOPPED = 130
UNCOPIED = ("new", "copying")
KINDS = {"missing": "not in the target", "unexpected": "only in the target", "different": "not the same"}


def verify(tables: Tables = None, config_file: ConfigFile = None, json: Json = False) -> None:
    """Compare source and target, and name the keys that differ.

    Both are compared as of one moment: counts and checksums first, then the rows where these differ. It
    works while the daemon runs and while the source is written to; without a daemon it first brings the
    target up to date. Exits with 3 if there is a difference.

    Examples:

      cdc verify

      cdc verify public.orders 'public.order_*' --json
    """
    config = settings(config_file, quiet=True)
    with _working("comparing"):
        report = _ask(config, tables or []) or _compare(config, tables or [])
    if json:
        screen.show_json(report)
    else:
        screen.show(table(report))
        show_differences(report)
        screen.out.print()
        screen.out.print(result(report))
    if not report.equal:
        raise typer.Exit(EXIT_DIFFERENT)


def _ask(config: Config, tables: list[str]) -> Report | None:
    """The running daemon's report, if there is one."""
    status = ask_status(config)
    if status is None:
        return None
    for each in status.tables:
        if each.state in UNCOPIED:
            screen.err.print(f"{each.name} is not copied yet, so rows will be missing", style="yellow")
    return msgspec.json.decode(ask_verify(config, tables), type=Report)


def _compare(config: Config, tables: list[str]) -> Report:
    """Run a daemon for as long as it takes."""
    from cdc.daemon import Daemon

    daemon = Daemon(config)
    with stop_on_signals() as stop, Background(daemon, stop) as running:
        while not _is_copied(daemon.status()) and not running.wait(0.1):
            pass
        running.check()
        try:
            return daemon.verify(tables)
        except CdcError as error:
            if stop.is_set():
                raise typer.Exit(STOPPED) from error
            raise


def _is_copied(status: Status) -> bool:
    return (
        status.state == "streaming"
        and bool(status.tables)
        and all(each.state not in UNCOPIED for each in status.tables)
    )


@contextmanager
def _working(what: str) -> Iterator[None]:
    """Something that moves, where somebody may be looking."""
    if screen.err.is_terminal:
        with screen.err.status(f"{what} …"):
            yield
    else:
        yield


def table(report: Report) -> RenderableType:
    """A row per table and warehouse."""
    several = len({each.warehouse for each in report.tables}) > 1
    made = screen.table(
        "table", *["warehouse"] * several, "source", "target", "result", right=("source", "target")
    )
    for each in report.tables:
        counts = (screen.count(each.source_rows), screen.count(each.target_rows))
        made.add_row(each.table, *[each.warehouse] * several, *counts, _result(each))
    return made


def result(report: Report) -> Text:
    """The answer in a line."""
    word = ("equal", "bold green") if report.equal else ("different", "bold red")
    return Text.assemble(word, f" as of {report.lsn}, compared in {screen.seconds(report.seconds)}")


def _result(report: TableReport) -> Text:
    if report.problem:
        return Text("not compared", "dim" if report.equal else "red")
    if report.equal:
        return Text("equal", "green")
    kinds = (f"{screen.count(getattr(report, kind))} {kind}" for kind in KINDS if getattr(report, kind))
    sampled = f" in {report.sampled:.1%} of the keys" if report.sampled else ""
    return Text(", ".join(kinds) + sampled, "red")


def show_differences(report: Report) -> None:
    """What differs, and what could not be compared."""
    for each in report.tables:
        _differences(each)


def _differences(report: TableReport) -> None:
    """The keys, up to a limit that the report has set."""
    if report.problem:
        screen.out.print(Text(f"\n{report.table}: {report.problem}", "dim" if report.equal else "red"))
        if report.mend:
            screen.out.print(f"  {report.mend}")
    for kind, title in KINDS.items():
        keys = getattr(report, f"{kind}_keys")
        if keys:
            more = getattr(report, kind) - len(keys)
            screen.out.print(Text(f"\n{report.table}: {title}", "bold"))
            for key in keys:
                screen.out.print(f"  {key}")
            if more > 0:
                screen.out.print(f"  … and {screen.count(more)} more")
