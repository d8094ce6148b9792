"""Status without a daemon: what the source says of the slot, and the target of itself if nobody has it open."""

from __future__ import annotations

from collections.abc import Mapping

from cdc import __version__, registry
from cdc.config import MEMORY, Config
from cdc.errors import CdcError
from cdc.log_watch import LogWatch
from cdc.lsn import format_lsn
from cdc.modes.parking import parked_tables
from cdc.pen import warehouse_status
from cdc.progress import decode_progress
from cdc.source.catalog import Catalog
from cdc.source.connect import Connection, Side
from cdc.source.slot_status import slot_status
from cdc.status import SourceStatus, Status, TableStatus, WarehouseStatus
from cdc.telling import MEND


def look(config: Config) -> Status:
    """What can be seen from here; `error` says what cannot, and why."""
    side = Side(config.source)
    try:
        source, tables = side.run(
            "cannot read the source's state", lambda connection: _source(connection, config)
        )
    finally:
        side.close()
    problems: list[str] = []
    refused: dict[str, str] = {}
    warehouses = [_warehouse(config, name, tables, refused, problems) for name in config.warehouses]
    if config.transport.kind != MEMORY:
        _look_at_log(config, tables, warehouses, problems)
    for name in refused.keys() & tables.keys():
        table = tables[name]
        table.state, table.reason, table.mend = "parked", refused[name], MEND.format(name)
    return Status(
        version=__version__,
        state="stopped",
        source=source,
        tables=list(tables.values()),
        warehouses=warehouses,
        error="\n".join(problems),
    )


def _source(connection: Connection, config: Config) -> tuple[SourceStatus, dict[str, TableStatus]]:
    settings = config.source
    catalog = Catalog(connection, exclude_columns=settings.exclude_columns, publication="")
    tables = {str(table): TableStatus(name=str(table), state="new") for table in catalog.captured(settings)}
    return slot_status(connection, settings), tables


def _warehouse(
    config: Config,
    name: str,
    tables: dict[str, TableStatus],
    refused: dict[str, str],
    problems: list[str],
) -> WarehouseStatus:
    """Opens the target only if it is there: looking must not make one. `refused`: tables that it has parked, and why."""
    settings = config.warehouses[name]
    connector = registry.load(settings.kind)
    status = warehouse_status(name, settings)
    status.target = connector.describe(settings)
    if not connector.exists(settings):
        return status
    try:
        warehouse = connector.connect(settings, name)
    except CdcError as error:
        problems.append(f"warehouse {name}: {error}")
        return status
    try:
        state = warehouse.state()
    finally:
        warehouse.close()
    if state.marks:
        status.applied_lsn = format_lsn(max(mark.position.commit_lsn for mark in state.marks.values()))
    _copied(state.controls, tables)
    for table, parked in parked_tables(state.controls).items():
        status.dead_letters += parked.rows
        if parked.reason:
            refused[table] = f"{name}: {parked.reason}"
    return status


def _look_at_log(
    config: Config, tables: dict[str, TableStatus], warehouses: list[WarehouseStatus], problems: list[str]
) -> None:
    """What the log's brokers know of the copies, and of how far each warehouse's appliers are."""
    try:
        _copied(registry.transport(config.transport.kind).progress(config.transport), tables)
    except CdcError as error:
        problems.append(str(error))
        return
    watch = LogWatch(config, wait=True, reader=False)
    for each in warehouses:
        watch.complete(each, drained=False)


def _copied(controls: Mapping[str, bytes], tables: dict[str, TableStatus]) -> None:
    for name, table in tables.items():
        progress = decode_progress(controls, name)
        table.rows_copied = progress.rows
        if progress.done:
            table.state = "live"
        elif progress.rows:
            table.state = "copying"
