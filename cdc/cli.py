"""The `cdc` program: puts the commands together and ends with their exit code.

0 done, 1 failed, 2 wrong usage or configuration, 3 a difference was found, 75 try again later. A user's
mistake is one block of text on standard error; only a bug of ours shows a traceback.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cdc import __version__
from cdc.commands import screen
from cdc.commands.check import check
from cdc.commands.config import config
from cdc.commands.demo import demo
from cdc.commands.drop import drop
from cdc.commands.health import health
from cdc.commands.init import init
from cdc.commands.options import ConfigFile
from cdc.commands.run import apply, read, run
from cdc.commands.snapshot import resync, snapshot
from cdc.commands.sql import sql
from cdc.commands.status import lag, status
from cdc.commands.verify import verify
from cdc.errors import CdcError

INTERRUPTED = 130

app = typer.Typer(
    name="cdc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `cdc demo` shows everything on a database of its own; then: cdc init, cdc check, cdc run.",
)
COMMANDS = (
    demo,
    init,
    check,
    run,
    read,
    apply,
    snapshot,
    resync,
    status,
    lag,
    health,
    verify,
    sql,
    drop,
    config,
)
for command in COMMANDS:
    app.command()(command)


def print_version(wanted: bool) -> None:
    """Print it and exit, if wanted."""
    if wanted:
        screen.out.print(f"cdc {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config_file: ConfigFile = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """PostgreSQL's changes into your warehouse, continuously and verifiably."""
    if config_file is not None:  # `cdc -c FILE run` as well as `cdc run -c FILE`
        context.default_map = {command.__name__: {"config_file": config_file} for command in COMMANDS}


def main() -> None:
    """The console script."""
    try:
        app()
    except CdcError as error:
        screen.show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
