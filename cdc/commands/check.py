"""`cdc check`: every precondition by name, whether it holds, and what mends it."""

from __future__ import annotations

import msgspec
import typer
from rich.text import Text

from cdc import registry
from cdc.ask import ask_status
from cdc.check import Check
from cdc.commands import screen
from cdc.commands.options import ConfigFile, Json, settings
from cdc.config import MEMORY, Config
from cdc.errors import EXIT_FAILED, CdcError

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}


class Part(msgspec.Struct):
    """The checks of the source, of the daemon's address, or of one warehouse."""

    part: str
    checks: list[Check]


def check(config_file: ConfigFile = None, json: Json = False) -> None:
    """Check everything that `cdc run` needs, and say how to mend what is missing.

    Looks at the server's settings, the role, tables and their keys, publication and slot, and at each
    warehouse. Changes nothing. A fix that is SQL can be pasted into psql, as a superuser or the owner of
    what it names. Exits with 1 if a check failed; what is only worth knowing (!) does not count.

    Examples:

      cdc check

      cdc check --json | jq -r '.[].checks[] | select(.state == "fail") | .fix'
    """
    parts = gather(settings(config_file, quiet=True))
    if json:
        screen.show_json(parts)
    else:
        _show(parts)
    if any(each.state == "fail" for part in parts for each in part.checks):
        raise typer.Exit(EXIT_FAILED)


def gather(config: Config) -> list[Part]:
    """Do all checks."""
    from cdc.preflight import check_source

    daemon, running = _daemon(config)
    parts = [Part("source", check_source(config.source)), Part("daemon", [daemon])]
    if config.transport.kind != MEMORY:
        transport = registry.transport(config.transport.kind)
        letters = {each.dead_letter_topic for each in config.warehouses.values()} - {""}
        checks = transport.check(config.transport, sorted(letters))
        parts.append(Part(f"transport {config.transport.kind}", [*checks]))
    for name, each in config.warehouses.items():
        ours = [Check("open", "ok", "in use by the daemon")]
        parts.append(
            Part(f"warehouse {name}", ours if running else [*registry.load(each.kind).preflight(each)])
        )
    return parts


def _daemon(config: Config) -> tuple[Check, bool]:
    """Whether the daemon's address is free, or ours already, and whether a daemon is running."""
    if not config.http.listen:
        return Check("http", "ok", "switched off: [http] listen is empty"), False
    try:
        found = ask_status(config)
    except CdcError as error:
        return Check("http", "fail", f"{error.what}: {error.why}", error.hint), False
    if found is None:
        return Check("http", "ok", f"{config.http.listen} is free"), False
    return Check("http", "ok", f"{config.http.listen}: a daemon is running, {found.state}"), True


def _show(parts: list[Part]) -> None:
    width = max(len(each.name) for part in parts for each in part.checks)
    for part in parts:
        screen.out.print(part.part, style="bold")
        for each in part.checks:
            mark, style = MARKS[each.state]
            screen.out.print(Text.assemble("  ", (mark, style), f" {each.name:{width}}  {each.detail}"))
            if each.state != "ok":
                for line in each.fix.splitlines():
                    screen.out.print(Text.assemble(" " * (width + 6), ("fix: ", "dim"), (line, "bold")))
    states = [each.state for part in parts for each in part.checks]
    failed, warned = states.count("fail"), states.count("warn")
    said = f"{failed} failed" if failed else "ready for `cdc run`"
    screen.out.print(
        f"\n{said}{f', {warned} worth a look' if warned else ''}", style="red" if failed else "green"
    )
