"""`cdc health`: is the daemon well? For a container's HEALTHCHECK and other supervisors that run a command."""

from __future__ import annotations

from typing import Annotated

import typer

from cdc.ask import ask_health
from cdc.commands import screen
from cdc.commands.options import ConfigFile, settings
from cdc.errors import EXIT_FAILED


def health(
    config_file: ConfigFile = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether it streams, not only whether it is alive.")
    ] = False,
) -> None:
    """Exit with 0 if the daemon is alive, with 1 if it is not.

    It asks what /healthz (with --ready: /readyz) answers at the address [http] listen.

    Example:

      HEALTHCHECK CMD ["cdc", "health"]
    """
    well, said = ask_health(settings(config_file, quiet=True), ready=ready)
    screen.out.print(said, markup=False, highlight=False)
    if not well:
        raise typer.Exit(EXIT_FAILED)
