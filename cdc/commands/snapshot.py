"""`cdc snapshot` and `cdc resync`: copies of tables, by the daemon if there is one, else by one of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from cdc.ask import ask_snapshot, ask_status
from cdc.commands import screen
from cdc.commands.options import ConfigFile, Json, Tables, settings
from cdc.commands.progress import watch
from cdc.commands.run import serve
from cdc.config import Config
from cdc.copy_request import CopyRequest
from cdc.errors import EXIT_FAILED, EXIT_TRY_AGAIN, CdcError, ConfigError
from cdc.status import Status

UNCOPIED = ("new", "copying")
OVER = ("live", "parked")

Where: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TABLE=CONDITION", help="Copy only the rows of a table for which this holds. May be repeated."
    ),
]


def snapshot(
    tables: Tables = None,
    config_file: ConfigFile = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="From the start, also what is copied already or was begun.")
    ] = False,
    where: Where = None,
    json: Json = False,
) -> None:
    """Copy tables (those that are named, or all), and exit when they are in the warehouses, as of one commit.

    A copy that was interrupted is taken up where it stopped. If a daemon runs, it copies beside its stream, and this
    command shows how it goes. Without one the slot is left where the copy ends, so that a later `cdc run` goes on from there
    and copies nothing twice.

    Examples:

      cdc snapshot && cdc verify

      cdc snapshot 'public.order_*' --where "public.orders=created > now() - interval '1 year'"
    """
    _copy(CopyRequest(tables or [], restart, _conditions(where or [])), config_file, json=json)


def resync(
    tables: Annotated[list[str], typer.Argument(metavar="TABLE...", help="schema.table, or globs.")],
    config_file: ConfigFile = None,
    json: Json = False,
) -> None:
    """Copy tables anew while they are in use: afterwards they have all rows of the source, and no others.

    The new copy is gathered beside the table, which goes on following the stream; when it is complete, it replaces the table's
    rows in one transaction. So nobody who reads the table sees it empty.

    Example:

      cdc resync public.orders
    """
    _copy(CopyRequest(tables, restart=True), config_file, json=json)


def _conditions(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for each in given:
        table, equals, condition = each.partition("=")
        if not equals or not condition.strip():
            raise ConfigError("--where needs TABLE=CONDITION", where=each, hint="public.orders=total > 0")
        found[table.strip()] = condition.strip()
    return found


def _copy(request: CopyRequest, config_file: ConfigFile, *, json: bool) -> None:
    config = settings(config_file, quiet=True)
    running = ask_status(config)
    if running is None:
        status = serve(config_file, "copied", request=request)
        names = [each.name for each in status.tables if request.names(each.name)]
    else:
        names = ask_snapshot(config, request)
        elsewhere = Elsewhere(config, names, running)
        watch(elsewhere)
        status = elsewhere.status()
    status.tables = [each for each in status.tables if each.name in names]
    if json:
        screen.show_json(status)
    else:
        table = screen.table("table", "state", "rows", "", right=("rows",))
        for each in status.tables:
            table.add_row(each.name, screen.state(each.state), screen.count(each.rows_copied), each.reason)
        screen.show(table)
    if any(each.state in ("parked", *UNCOPIED) for each in status.tables):
        raise typer.Exit(EXIT_FAILED)


class Elsewhere:
    """A daemon in another process that copies these tables (a `cdc.commands.progress.Watched`)."""

    def __init__(self, config: Config, names: Sequence[str], status: Status) -> None:
        self._config = config
        self._names = set(names)
        self._status = status

    def status(self) -> Status:
        return self._status

    def wait(self, timeout: float) -> bool:
        time.sleep(timeout)
        found = ask_status(self._config)
        if found is None:
            error = CdcError(
                "the daemon has ended",
                why="its copies are not complete",
                hint="start it again: it goes on with them",
            )
            error.exit_code = EXIT_TRY_AGAIN
            raise error
        self._status = found
        return all(each.state in OVER for each in found.tables if each.name in self._names)
