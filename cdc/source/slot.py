"""The replication slot: the server's memory of how far we are. It is made, adopted, read and dropped here.

Nobody is ever terminated for a slot. A slot that is in use is an error that names the user; a slot that is
gone, invalidated or of another database or plugin is one that says what is lost.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import structlog

from cdc.config import SourceSettings
from cdc.errors import SlotInUse, SlotLost, SourceError, SourceUnavailable
from cdc.lsn import Lsn, parse_lsn
from cdc.source.connect import Connection
from cdc.source.failures import LOST_HINT, explain, explained, place
from cdc.source.publication import Publication, drop_publication, ensure_publication

__all__ = [
    "Publication",
    "SlotInfo",
    "SourceIdentity",
    "drop_slot",
    "ensure_publication",
    "ensure_slot",
    "read_slot",
]

log = structlog.get_logger()

WAL_PAGE, WAL_PAGE_HEADERS = 8192, (24, 40)  # bytes; a segment's first page has the longer header


class SourceIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which stream of changes this is: another server, database or slot has another.

    `timeline` grows when a standby is promoted, which alone loses nothing.
    """

    system_identifier: int
    timeline: int
    database: str
    slot: str


class SlotInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A row of pg_replication_slots; what a server's version does not know is None or False.

    `wal_status` is reserved, extended, unreserved or lost. `created`: `ensure_slot` has just made it.
    """

    name: str
    plugin: str
    database: str
    confirmed_lsn: Lsn
    restart_lsn: Lsn | None = None
    wal_status: str | None = None
    active_pid: int | None = None
    active_as: str = ""
    active_from: str = ""
    temporary: bool = False
    two_phase: bool = False
    failover: bool = False
    synced: bool = False
    invalidation_reason: str | None = None
    safe_wal_size: int | None = None
    created: bool = False

    @property
    def lost(self) -> str:
        """Why nothing can be read from it any more; empty if it can."""
        if self.invalidation_reason:
            return f"it was invalidated: {self.invalidation_reason}"
        if self.wal_status == "lost":
            return "it was invalidated: WAL that it needs has been removed (max_slot_wal_keep_size)"
        return ""

    @property
    def holder(self) -> str:
        """Who streams from it now, for messages."""
        if self.active_pid is None:
            return ""
        named = f", application {self.active_as!r}" if self.active_as else ""
        address = f", from {self.active_from}" if self.active_from else ""
        return f"process {self.active_pid} of the server{named}{address}"


def read_slot(connection: Connection, name: str) -> SlotInfo | None:
    """The slot as it is now; None if there is none of this name."""
    # As JSON, because the view grew columns in 13, 14, 16 and 17.
    query = """
        select to_jsonb(slot), activity.application_name, host(activity.client_addr) from pg_replication_slots slot
        left join pg_stat_activity activity on activity.pid = slot.active_pid where slot.slot_name = %s"""
    row = connection.execute(query, [name]).fetchone()
    if row is None:
        return None
    known: dict[str, Any] = row[0]
    reason = known.get("invalidation_reason")
    if not reason and known.get("conflicting"):
        reason = "conflict with recovery"
    return SlotInfo(
        name=name,
        plugin=known["plugin"] or "",  # a physical slot has none
        database=known["database"] or "",
        confirmed_lsn=_lsn(known["confirmed_flush_lsn"]) or 0,
        restart_lsn=_lsn(known["restart_lsn"]),
        wal_status=known["wal_status"],
        active_pid=known["active_pid"],
        active_as=row[1] or "",
        active_from=row[2] or "",
        temporary=known["temporary"],
        two_phase=known.get("two_phase", False),
        failover=known.get("failover", False),
        synced=known.get("synced", False),
        invalidation_reason=reason,
        safe_wal_size=known["safe_wal_size"],
    )


def read_identity(connection: Connection, slot: str) -> SourceIdentity:
    """Which server and database these are."""
    query = """
        select system_identifier, timeline_id, current_database()
        from pg_control_system(), pg_control_checkpoint()"""
    system_identifier, timeline, database = connection.execute(query).fetchone() or (0, 0, "")
    return SourceIdentity(
        system_identifier=system_identifier, timeline=timeline, database=database, slot=slot
    )


def read_position(connection: Connection) -> Lsn:
    """Transactions that other sessions see by now commit below this LSN, and the stream will reach it."""
    query = """
        select case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
        else pg_current_wal_insert_lsn() end::text"""
    row = connection.execute(query).fetchone()
    lsn = parse_lsn(row[0]) if row else 0
    return written_until(lsn)


def written_until(insert_lsn: Lsn) -> Lsn:
    """At a page's start the server counts the page's header, which is not written yet: a stream stops before it."""
    past = insert_lsn % WAL_PAGE
    return insert_lsn - past if past in WAL_PAGE_HEADERS else insert_lsn


def ensure_slot(connection: Connection, settings: SourceSettings) -> SlotInfo:
    """Have the slot: create it, or adopt the one that is there. Call it outside a transaction, after the
    publication.

    Creation waits for every transaction that is writing at this moment. Raises SlotLost if the slot can no
    longer be read, SourceError if it is somebody else's.
    """
    found = read_slot(connection, settings.slot)
    if found is None:
        if not settings.create:
            raise SlotLost(
                f"there is no replication slot {settings.slot!r}",
                why="[source] create is false",
                hint=f"run `{create_statement(settings)}`",
                where=place(connection),
            )
        _create(connection, settings)
        made = read_slot(connection, settings.slot)
        if made is None:
            raise SourceUnavailable(
                f"replication slot {settings.slot!r} was dropped just after it was made",
                where=place(connection),
            )
        log.info("slot_created", slot=made.name, plugin=made.plugin)
        return msgspec.structs.replace(made, created=True)
    check_slot(found, settings, connection.info.dbname, place(connection))
    return found


def check_slot(slot: SlotInfo, settings: SourceSettings, database: str, where: str) -> None:
    """Raise unless the slot is one of this database and plugin that can still be read."""
    what = f"replication slot {slot.name!r} cannot be used"
    another = "choose another name for [source] slot"
    if slot.database != database:
        owner = f"database {slot.database!r}" if slot.database else "a physical standby"
        raise SourceError(what, why=f"it belongs to {owner}", hint=another, where=where)
    if slot.plugin != settings.plugin:
        hint = f"set [source] plugin, or {another}"
        raise SourceError(
            what, why=f"its plugin is {slot.plugin}, not {settings.plugin}", hint=hint, where=where
        )
    if slot.lost:
        raise SlotLost(what, why=slot.lost, hint=LOST_HINT, where=where)


def create_statement(settings: SourceSettings) -> str:
    """`failover` is the fifth parameter, after temporary and two-phase, and older servers have none."""
    more = ", false, false, true" if settings.failover else ""
    slot = settings.slot.replace("'", "''")
    return f"select pg_create_logical_replication_slot('{slot}', '{settings.plugin}'{more})"


def drop_slot(connection: Connection, settings: SourceSettings, *, publication: bool = True) -> bool:
    """Drop the slot, and the publication if we made it; says whether there was a slot. Repeatable.

    Raises SourceUnavailable while somebody streams from it.
    """
    found = read_slot(connection, settings.slot)
    if found is not None:
        try:
            connection.execute("select pg_drop_replication_slot(%s)", [settings.slot])
        except psycopg.errors.ObjectInUse as error:
            raise in_use(read_slot(connection, settings.slot) or found, place(connection)) from error
        except psycopg.Error as error:
            raise explain(
                error, f"cannot drop replication slot {settings.slot!r}", where=place(connection)
            ) from error
    if publication:
        with explained(f"cannot drop publication {settings.publication!r}", where=place(connection)):
            drop_publication(connection, settings.publication)
    return found is not None


def in_use(slot: SlotInfo, where: str) -> SlotInUse:
    """The error for a slot that somebody streams from."""
    return SlotInUse(
        f"replication slot {slot.name!r} is in use",
        why=f"{slot.holder} streams from it",
        hint=f"wait for its end, stop that cdc, or `select pg_terminate_backend({slot.active_pid})`",
        where=where,
    )


def _create(connection: Connection, settings: SourceSettings) -> None:
    writers = connection.execute(
        "select pid, application_name, xact_start::text from pg_stat_activity "
        "where backend_xid is not null and pid <> pg_backend_pid() and xact_start < now() - interval '5 s'"
    ).fetchall()
    if writers:
        log.warning("slot_waits_for_transactions", slot=settings.slot, transactions=writers)
    what = f"cannot create replication slot {settings.slot!r}"
    with explained(what, where=place(connection)), connection.transaction():
        connection.execute("set local lock_timeout = 0")
        connection.execute(create_statement(settings).encode())


def _lsn(text: str | None) -> Lsn | None:
    return parse_lsn(text) if text else None
