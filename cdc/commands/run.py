"""`cdc run`, `cdc read` and `cdc apply`: the daemon in this process, with its HTTP answers, until it is told to stop."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated, TypeAlias

import structlog
import typer

from cdc import __version__
from cdc.commands.background import Background
from cdc.commands.options import ConfigFile, settings
from cdc.commands.progress import watch
from cdc.commands.stop import stop_on_signals
from cdc.secret import hide_passwords
from cdc.status import Status

if TYPE_CHECKING:
    from cdc.copy_request import CopyRequest
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
    serve(config_file, "stopped")


def read(config_file: ConfigFile = None) -> None:
    """Publish the source's changes to Kafka; warehouses are filled by `cdc apply`, elsewhere.

    Copies tables, too, in line with the stream. There is one reader of a slot.

    Example:

      cdc read
    """
    serve(config_file, "stopped", reader=True, warehouses=())


def apply(warehouses: Warehouses = None, config_file: ConfigFile = None) -> None:
    """Fill warehouses from Kafka's topics: those that are named, or all.

    Several processes may do so for one warehouse (but not for a DuckDB file, which one process has): they share the topics'
    partitions, and each takes over those of one that ended. Give each an [http] listen of its own.

    Examples:

      cdc apply

      CDC_HTTP__LISTEN=127.0.0.1:8086 cdc apply reporting
    """
    serve(config_file, "stopped", reader=False, warehouses=tuple(warehouses) if warehouses else None)


def serve(
    config_file: ConfigFile,
    until: Until,
    *,
    reader: bool = True,
    warehouses: tuple[str, ...] | None = None,
    request: CopyRequest | None = None,
) -> Status:
    """Run the daemon until it is told to stop, or `until` is met. Raises what ended it."""
    gc.disable()  # nothing of what is imported goes again: to look for it takes a tenth of the time to streaming
    from cdc.daemon import Daemon
    from cdc.line import Parts
    from cdc.metrics import told_registry
    from cdc.otel import OtelExport
    from cdc.serve import HttpServer
    from cdc.source.connect import where

    gc.enable()
    config = settings(config_file)
    daemon = Daemon(config, until=until, parts=Parts(reader, warehouses), request=request)
    exported = OtelExport(config.otel, [told_registry(daemon.status), daemon.registry])
    with stop_on_signals() as stop, HttpServer(config.http, daemon) as server, exported:
        targets = {name: each.kind for name, each in config.warehouses.items()}
        source = hide_passwords(where(config.source))
        log.info(
            "cdc.started", version=__version__, source=source, warehouses=targets, http=server.address or None
        )
        with Background(daemon, stop) as running:
            watch(running)
        log.info("cdc.stopped")
    return daemon.status()
