"""`cdc config`: what the file, the environment and the defaults add up to."""

from __future__ import annotations

from cdc.commands import screen
from cdc.commands.options import ConfigFile, Json, settings
from cdc.config_show import effective, to_toml


def config(config_file: ConfigFile = None, json: Json = False) -> None:
    """Print the effective settings as TOML, defaults included and secrets hidden.

    A value comes from, in this order: CDC_SECTION__KEY in the environment, the file, the default. Within
    the file "${NAME}" stands for a variable of the environment and "file:/run/secrets/x" for the contents
    of a file.

    Examples:

      cdc config

      CDC_WAREHOUSES__LOCAL__PATH=/data/shop.duckdb cdc config --json
    """
    shown = effective(settings(config_file))
    if json:
        screen.show_json(shown)
    else:
        screen.out.print(to_toml(shown), end="")
