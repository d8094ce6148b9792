"""Where a warehouse's rows come from: which server and slot, and how far that slot had been confirmed.

It is kept in the warehouse as a control record, written before the first row and before each confirmation. So at start it can
be seen whether slot and warehouse still belong together: a slot ahead of the record was confirmed (or made) by somebody else,
and changes are missing; a server that is not as far as the record, or whose history parted from ours before, has gone back
(a backup was restored, a standby promoted that lacked what the primary had sent us), and the warehouse has too many. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cdc.errors import SlotAhead, SlotLost, SourceUnavailable
from cdc.events import Control
from cdc.lsn import Lsn, format_lsn, parse_lsn

ORIGIN = "origin"  # the control record's key


class Origin(msgspec.Struct, frozen=True):
    """One server's slot. `system_identifier` is the cluster's, alike on its standbys; `timeline` grows with each promotion."""

    system_identifier: int
    database: str
    slot: str
    timeline: int = 0

    @property
    def partition(self) -> str:
        """The name of the stream in checkpoints: marks of one server mean nothing to another."""
        return f"{self.system_identifier}/{self.database}"

    def is_of(self, controls: Mapping[str, bytes]) -> bool:
        """Do these records tell of this database?"""
        value = controls.get(ORIGIN)
        record = msgspec.json.decode(value, type=_Record) if value else None
        return record is None or (record.system_identifier, record.database) == (
            self.system_identifier,
            self.database,
        )

    def confirming(self, lsn: Lsn, unseen: Iterable[int] = (), seen: Lsn = 0) -> Control:
        """To be made durable before `lsn` is confirmed.

        `unseen`: transactions below it that other sessions of the server may not see yet. `seen`: where the last transaction
        commits that was published.
        """
        record = _Record(
            self.system_identifier,
            self.database,
            self.slot,
            format_lsn(lsn),
            sorted(unseen),
            self.timeline,
            format_lsn(seen),
        )
        return Control(ORIGIN, msgspec.json.encode(record))


class _Record(msgspec.Struct):
    system_identifier: int
    database: str
    slot: str
    confirmed: str
    unseen: list[int] = []
    timeline: int = 0
    seen: str = "0/0"


class Whereabouts(msgspec.Struct, frozen=True):
    """Where a server is: the end of its WAL, its timeline, and at which LSN it left each timeline before.

    `standby`: it follows another, and may come further yet.
    """

    timeline: int
    lsn: Lsn
    forks: Mapping[int, Lsn] = {}
    standby: bool = False


def unseen(controls: Mapping[str, bytes]) -> set[int]:
    """Transactions that will not be streamed again, and that a copy must see before it is believed."""
    value = controls.get(ORIGIN)
    return set(msgspec.json.decode(value, type=_Record).unseen) if value else set()


def recorded(controls: Mapping[str, bytes]) -> Lsn:
    """How far the slot had been confirmed, or was about to be; 0 without a record."""
    value = controls.get(ORIGIN)
    return parse_lsn(msgspec.json.decode(value, type=_Record).confirmed) if value else 0


def last_seen(controls: Mapping[str, bytes]) -> Lsn:
    """Where the last transaction commits that was published; 0 if that is not known."""
    value = controls.get(ORIGIN)
    return parse_lsn(msgspec.json.decode(value, type=_Record).seen) if value else 0


RECOPY = "`cdc drop`, then `cdc run`: it makes a new slot and copies the tables again"


def check_origin(
    controls: Mapping[str, bytes], origin: Origin, slot_confirmed: Lsn, *, created: bool
) -> None:
    """Raise SlotLost unless what the warehouses hold can go on from this slot. Without a record it can: nothing is there yet."""
    value = controls.get(ORIGIN)
    if not value:
        return
    record = msgspec.json.decode(value, type=_Record)
    if (record.system_identifier, record.database) != (origin.system_identifier, origin.database):
        raise SlotLost(
            "the warehouse was filled from another database",
            why=f"it holds {record.database!r} of server {record.system_identifier}, "
            f"and [source] dsn leads to {origin.database!r} of server {origin.system_identifier}",
            hint=f"mend [source] dsn or take another target; to start over with this database: {RECOPY}",
        )
    if created:
        raise SlotLost(
            f"replication slot {record.slot!r} is gone",
            why=f"the warehouse is at {record.confirmed}, and a new slot cannot give what was committed since",
            hint=RECOPY,
        )
    if slot_confirmed > parse_lsn(record.confirmed):
        raise SlotAhead(
            f"replication slot {origin.slot!r} is ahead of the warehouse",
            why=f"it is confirmed to {format_lsn(slot_confirmed)}, the warehouse is at {record.confirmed}: "
            "somebody else has read from the slot or made it anew, and the changes between are missing",
            hint=RECOPY,
        )


def check_history(controls: Mapping[str, bytes], here: Whereabouts, applied: Lsn) -> None:
    """Raise SlotLost if the server has not, in its own history, what was taken from it: up to `applied`, a commit's LSN.

    SourceUnavailable, if it is a standby that has yet to come there.
    """
    value = controls.get(ORIGIN)
    if not value:
        return
    record = msgspec.json.decode(value, type=_Record)
    applied = max(applied, parse_lsn(record.seen))
    if not record.timeline or record.timeline == here.timeline:
        reached = max(applied, parse_lsn(record.confirmed))
        if reached <= here.lsn:
            return
        why = f"its WAL ends at {format_lsn(here.lsn)}, and {format_lsn(reached)} of it had been received"
        if here.standby:
            raise SourceUnavailable(
                "the standby is behind what was received", why=why, hint="it may yet come there"
            )
        raise _gone_back(why)
    left = here.forks.get(record.timeline)
    if left is None:
        raise _gone_back(
            f"its timeline {here.timeline} does not come from timeline {record.timeline}, which was followed"
        )
    if applied > left:
        raise _gone_back(
            f"it left timeline {record.timeline} at {format_lsn(left)}, and transactions up to {format_lsn(applied)} of it had "
            "been received"
        )


def _gone_back(why: str) -> SlotLost:
    return SlotLost(
        "the source has gone back: the warehouse holds transactions that it does not have any more",
        why=why + " (a backup was restored, or a standby was promoted that lagged behind)",
        hint=f"lead [source] dsn to the server that was followed, if there is one; else {RECOPY}",
    )
