"""What is told on a topic of rows that a warehouse left out, and that a copy has ended it. No Kafka in here.

A row: the key that it has on its own table's topic, a value in JSON, and headers that say the same in short, for consumers that
only sort. An end: no key. It counts for what stands before it of its warehouse and table. All of a topic are in one partition.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cdc.format import FormatSettings
from cdc.lsn import format_lsn
from cdc.modes.letters import Letter
from cdc.schema import Table
from cdc.wire.names import Topics
from cdc.wire.plan import Plan
from cdc.wire.record import Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROW, MENDED = "row", "mended"
OVERHEAD = 64  # bytes around a header, and around a record


class LetterRecords:
    """Of one warehouse, for one topic."""

    def __init__(self, settings: FormatSettings, *, prefix: str, topic: str, warehouse: str) -> None:
        self._settings = settings
        self._topics = Topics(settings, prefix)
        self._topic = topic
        self._warehouse = warehouse
        self._plans: dict[Table, Plan] = {}

    def told(self, letters: Iterable[Letter], limit: int) -> Iterator[Record]:
        """A record for each. In one that would be larger than `limit` bytes, the row's values are left out, or its key, too."""
        for letter in letters:
            record = self._record(letter, self._key(letter))
            if size(record) > limit:
                record = self._record(letter, record.key, told=False)
            if size(record) > limit:
                record = self._record(letter, None, told=False, named=False)
            yield record

    def mended(self, table: str, at_us: int) -> Record:
        """A copy of this table has begun: what is still refused will be told anew."""
        value = {"kind": MENDED, "warehouse": self._warehouse, "table": table, "at": _time(at_us)}
        return Record(self._topic, None, msgspec.json.encode(value), self._headers(MENDED, table))

    def _key(self, letter: Letter) -> bytes | None:
        plan = self._plan(letter.table)
        if letter.hidden:
            return letter.key if plan.has_key else None
        return plan.framed(plan.key(letter.values))

    def _record(self, letter: Letter, key: bytes | None, *, told: bool = True, named: bool = True) -> Record:
        name, place = letter.table.full_name, letter.place.decode()
        value: dict[str, Any] = {
            "kind": ROW,
            "warehouse": self._warehouse,
            "table": name,
            "key": letter.key.decode() if named else None,
            "position": place,
            "commit_lsn": format_lsn(letter.position.commit_lsn),
            "ordinal": letter.position.ordinal,
            "column": letter.column or None,
            "reason": letter.reason,
            "row": json.loads(letter.told) if letter.told and told else None,
            "at": _time(letter.at_us),
        }
        headers = [*self._headers(ROW, name), ("cdc.topic", self._plan(letter.table).topic.encode())]
        headers += [("cdc.position", place.encode()), ("cdc.reason", letter.reason.encode())]
        if letter.column:
            headers.append(("cdc.column", letter.column.encode()))
        if letter.told and not told:
            headers.append(("cdc.value", b"left out"))
        return Record(self._topic, key, msgspec.json.encode(value), headers)

    def _headers(self, kind: str, table: str) -> list[tuple[str, bytes]]:
        facts = {"kind": kind, "warehouse": self._warehouse, "table": table}
        return [(f"cdc.{name}", text.encode()) for name, text in facts.items()]

    def _plan(self, table: Table) -> Plan:
        if (known := self._plans.get(table)) is None:
            known = self._plans[table] = Plan(table, self._settings, self._topics)
        return known


def size(record: Record) -> int:
    """Of a record in bytes, and a little more."""
    headers = sum(len(name) + len(text) + OVERHEAD for name, text in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + OVERHEAD


def _time(us: int) -> str:
    return f"{EPOCH + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%S.%fZ}"
