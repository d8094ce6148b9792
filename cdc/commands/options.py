"""Options that commands share, so that each has one name and one help text, and what they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cdc import logs
from cdc.config import Config, LogSettings
from cdc.config_file import load

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        envvar="CDC_CONFIG",
        help="The configuration.  [default: config.toml]",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead.")]
Tables: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TABLE]...", help="schema.table; all without any.", show_default=False),
]


def settings(config_file: Path | None, *, quiet: bool = False) -> Config:
    """The configuration; logging follows it, from warnings upward if the command is `quiet`."""
    config = load(config_file, os.environ)
    level = "warning" if quiet and config.log.level == "info" else config.log.level
    logs.configure(LogSettings(level=level, format=config.log.format))
    return config
