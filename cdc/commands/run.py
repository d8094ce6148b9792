"""`cdc run` and `cdc snapshot`: the daemon in this process, with its HTTP answers, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import structlog
import typer

from cdc import __version__
from cdc.commands import screen
from cdc.commands.background import Background
from cdc.commands.options import ConfigFile, settings
from cdc.commands.progress import watch
from cdc.commands.stop import stop_on_signals
from cdc.secret import hide_passwords
from cdc.status import Status

if TYPE_CHECKING:
    from cdc.reading import Until

log = structlog.get_logger()

Warehouses: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="[warehouses.NAME]; all without any.", show_default=False),
]


def run(config_file: ConfigFile = None) -> None:
    """Copy what is not yet copied, then follow the source until stopped.

    The first start creates publication and slot, and copies every captured table; it is safe to stop at any
    moment and start again. Ctrl-C and SIGTERM end it cleanly: what was received is applied, the rest comes
    at the next start.

    Examples:

      cdc run                       in the foreground, with a progress bar while tables are copied

      cdc run -c shop.toml 2>>log   as a service: log lines in JSON on standard error

    Meanwhile `cdc status`, `cdc lag` and `cdc verify` ask it from another terminal.
    """
    _serve(config_file, "stopped")


def snapshot(config_file: ConfigFile = None) -> None:
    """Copy the captured tables, and exit when they are in the warehouses.

    The slot is left where the copy ends, so a later `cdc run` goes on from there and copies nothing twice.
    An interrupted copy is taken up where it stopped.

    Example:

      cdc snapshot && cdc verify
    """
    status = _serve(config_file, "copied")
    table = screen.table("table", "state", "rows", right=("rows",))
    for each in status.tables:
        table.add_row(each.name, screen.state(each.state), screen.count(each.rows_copied))
    screen.show(table)


def read(config_file: ConfigFile = None) -> None:
    """Publish the source's changes to Kafka; warehouses are filled by `cdc apply`, elsewhere.

    Copies tables, too, in line with the stream. There is one reader of a slot.

    Example:

      cdc read
    """
    _serve(config_file, "stopped", reader=True, warehouses=())


def apply(warehouses: Warehouses = None, config_file: ConfigFile = None) -> None:
    """Fill warehouses from Kafka's topics: those that are named, or all.

    Several processes may do so for one warehouse (but not for a DuckDB file, which one process has): they share the topics'
    partitions, and each takes over those of one that ended. Give each an [http] listen of its own.

    Examples:

      cdc apply

      CDC_HTTP__LISTEN=127.0.0.1:8086 cdc apply reporting
    """
    _serve(config_file, "stopped", reader=False, warehouses=tuple(warehouses) if warehouses else None)


def _serve(
    config_file: ConfigFile, until: Until, *, reader: bool = True, warehouses: tuple[str, ...] | None = None
) -> Status:
    from cdc.daemon import Daemon
    from cdc.line import Parts
    from cdc.serve import HttpServer
    from cdc.source.connect import where

    config = settings(config_file)
    daemon = Daemon(config, until=until, parts=Parts(reader, warehouses))
    with stop_on_signals() as stop, HttpServer(config.http.listen, daemon) as server:
        targets = {name: each.kind for name, each in config.warehouses.items()}
        source = hide_passwords(where(config.source))
        log.info(
            "cdc.started", version=__version__, source=source, warehouses=targets, http=server.address or None
        )
        with Background(daemon, stop) as running:
            watch(running)
        log.info("cdc.stopped")
    return daemon.status()
