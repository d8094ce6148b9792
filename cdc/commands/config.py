"""`cdc config`: what the file, the environment and the defaults add up to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cdc.commands import screen
from cdc.commands.options import ConfigFile, Json, settings
from cdc.config_show import effective, to_toml
from cdc.debezium_text import parse_properties
from cdc.errors import ConfigError
from cdc.from_debezium import translate

FromDebezium: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="CONNECTOR", help="Print the equivalent of a Debezium connector: its .properties or its JSON."
    ),
]
Worker: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="WORKER", help="… and of the Connect worker's .properties.")
]


def config(
    config_file: ConfigFile = None,
    json: Json = False,
    from_debezium: FromDebezium = None,
    worker: Worker = None,
) -> None:
    """Print the effective settings as TOML, defaults included and secrets hidden.

    A value comes from, in this order: CDC_SECTION__KEY in the environment, the file, the default. Within
    the file "${NAME}" stands for a variable of the environment and "file:/run/secrets/x" for the contents
    of a file.

    Examples:

      cdc config

      CDC_WAREHOUSES__LOCAL__PATH=/data/shop.duckdb cdc config --json

      cdc config --from-debezium connector.properties --worker worker.properties > config.toml
    """
    if from_debezium is not None:
        _print_translation(from_debezium, worker, json=json)
        return
    shown = effective(settings(config_file))
    if json:
        screen.show_json(shown)
    else:
        screen.out.print(to_toml(shown), end="")


def _print_translation(connector: Path, worker: Path | None, *, json: bool) -> None:
    """The configuration on standard output; what has no counterpart as comments above it."""
    given = [parse_properties(_read(file)) for file in (connector, worker) if file is not None]
    translation = translate(*given)
    if json:
        screen.show_json({"config": translation.config, "unmatched": translation.unmatched})
        return
    for name, reason in translation.unmatched.items():
        screen.out.print(f"# {name}: {reason}", markup=False, soft_wrap=True)
    screen.out.print(to_toml(translation.config), end="", markup=False, soft_wrap=True)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file cannot be read", why=str(error), where=str(file)) from error
