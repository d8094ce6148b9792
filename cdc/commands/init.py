"""`cdc init`: a commented config.toml, and the slot and publication that it names."""

from __future__ import annotations

import json
import os
import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from cdc.commands import screen
from cdc.commands.options import ConfigFile, settings
from cdc.config_file import DEFAULT
from cdc.errors import ConfigError
from cdc.secret import hide_passwords

PG_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE", "PGUSER", "PGPORT")


def init(
    config_file: ConfigFile = None,
    dsn: Annotated[
        str | None, typer.Option(help="The source: a libpq DSN or URL. Without it PG* variables are used.")
    ] = None,
    warehouse_path: Annotated[
        str, typer.Option(metavar="FILE", help="The DuckDB file.")
    ] = "warehouse.duckdb",
    create: Annotated[
        bool, typer.Option("--create/--no-create", help="Also create publication and slot.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
) -> None:
    """Write config.toml, and create what it needs in the source.

    The file has every setting with its default in a comment. The slot is what makes the source keep its
    changes for us: from then on its WAL is retained until `cdc run` has applied it, or `cdc drop` gives it
    up.

    Examples:

      cdc init --dsn postgresql://cdc@db.example.com/shop

      PGHOST=/run/postgresql PGDATABASE=shop cdc init --no-create
    """
    file = config_file or DEFAULT
    known = dsn is not None or any(name in os.environ for name in PG_VARIABLES)
    _write(file, dsn if dsn is not None else ("" if known else None), warehouse_path, replace=force)
    screen.out.print(f"wrote {file}")
    option = "" if file == DEFAULT else f" -c {file}"
    if not known:
        screen.out.print(f"next: put the source's address into it ([source] dsn), then `cdc check{option}`")
        return
    config = settings(file, quiet=True)
    if create:
        from cdc.source.capture import Capture

        with Capture(config.source) as capture:
            slot = capture.ensure()
        verb = "created" if slot.created else "found"
        screen.out.print(f"{verb} slot {slot.name} at {hide_passwords(capture.where)}; it covers:")
        for table in capture.tables:
            screen.out.print(f"  {table}")
    screen.out.print(f"next: `cdc check{option}`, then `cdc run{option}`")


def _write(file: Path, dsn: str | None, warehouse_path: str, *, replace: bool) -> None:
    """The example with these values; its own where they are None. Nobody else may read it: a DSN may have a password."""
    text = resources.files("cdc.commands").joinpath("example.toml").read_text("utf-8")
    for key, value in (("dsn", dsn), ("path", warehouse_path)):
        if value is not None:
            before = re.search(rf'^{key} = "[^"]*"', text, re.MULTILINE)
            assert before, key  # held by the test of the example
            text = text.replace(before[0], f"{key} = {json.dumps(value, ensure_ascii=False)}", 1)
    try:
        with os.fdopen(
            os.open(file, os.O_WRONLY | os.O_CREAT | (0 if replace else os.O_EXCL), 0o600), "w"
        ) as new:
            new.truncate()
            new.write(text)
    except FileExistsError as error:
        raise ConfigError(
            "there is a configuration already", where=str(file), hint="--force replaces it"
        ) from error
    except OSError as error:
        raise ConfigError("the file cannot be written", where=str(file), why=error.strerror or "") from error
