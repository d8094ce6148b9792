"""`cdc drop`: leaves the source as if there had never been a cdc."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from cdc import registry
from cdc.ask import ask_status
from cdc.commands import screen
from cdc.commands.options import ConfigFile, settings
from cdc.config import MEMORY, Config
from cdc.errors import CdcError, ConfigError
from cdc.origin import ORIGIN


def drop(
    config_file: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    topics: Annotated[
        bool, typer.Option("--topics", help="Kafka's topics, too, with all that is on them.")
    ] = False,
) -> None:
    """Remove the replication slot and the publication from the source.

    From then on the source keeps no WAL for us, and its changes can no longer be followed: a later `cdc
    run` copies all tables again. A publication that cdc did not make is left alone, and so are the tables in
    the warehouses. With Kafka, the topic goes on which the reader remembers how far it is; those of the tables
    stay unless --topics is given. Stop `cdc apply` first.

    Example:

      cdc drop --yes
    """
    config = settings(config_file)
    if ask_status(config) is not None:
        raise CdcError(
            "a daemon is streaming from the slot", where=config.http.listen, hint="stop `cdc run` first"
        )
    if not yes:
        _ask(config, topics)
    from cdc.applier import drop_shadows
    from cdc.source.connect import Side
    from cdc.source.publication import drop_publication, read_publication
    from cdc.source.slot import drop_slot

    slot, publication = config.source.slot, config.source.publication
    side = Side(config.source)
    try:
        found = side.run("cannot drop the slot", lambda c: drop_slot(c, config.source, publication=False))
        dropped = side.run("cannot drop the publication", lambda c: drop_publication(c, publication))
        kept = side.run("cannot read the publication", lambda c: read_publication(c, publication))
    finally:
        side.close()
    screen.out.print(f"dropped slot {slot}" if found else f"there was no slot {slot}")
    if dropped:
        screen.out.print(f"dropped publication {publication}")
    elif kept is not None:
        screen.out.print(f"publication {publication} stays: cdc did not make it")
    forgotten = _drop_topics(config, topics)
    for name, each in config.warehouses.items():
        connector = registry.load(each.kind)
        with closing(connector.connect(each, name)) as warehouse:
            drop_shadows(warehouse)
            if forgotten or warehouse.state().controls.get(ORIGIN):
                warehouse.forget()
        target = connector.describe(each)
        screen.out.print(
            f"warehouse {name}, {target}: the tables are left, where they came from is forgotten"
        )


def _drop_topics(config: Config, everything: bool) -> bool:
    """What the reader remembers there, and with `everything` all topics; True if warehouses have to forget, too."""
    if config.transport.kind == MEMORY:
        return True
    transport = registry.transport(config.transport.kind)
    gone = transport.drop(config.transport, config.format, everything=everything)
    screen.out.print(f"deleted {', '.join(gone)}" if gone else "there were no topics to delete")
    return everything


def _ask(config: Config, topics: bool) -> None:
    from cdc.source.connect import where

    if not sys.stdin.isatty():
        raise ConfigError("this cannot be undone, and nobody can be asked", hint="add --yes")
    slot, publication = config.source.slot, config.source.publication
    screen.err.print(f"This drops slot {slot} and publication {publication} at {where(config.source)}.")
    screen.err.print(
        "The changes from now on are lost for the warehouses; a later `cdc run` copies all tables again."
    )
    if topics and config.transport.kind != MEMORY:
        prefix = registry.transport(config.transport.kind).prefix(config.transport)
        screen.err.print(f"All topics under {prefix} are deleted, for other readers of theirs, too.")
    typer.confirm("Drop them?", abort=True, err=True)
