"""Looks after the shape of tables while they are streamed, and has those copied anew of which the stream tells too little."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from cdc.interfaces import Publisher
from cdc.lsn import Lsn
from cdc.reader import Reader
from cdc.reshape import Made, decode_made, encode_made, is_as_known, numbered, reason_to_copy, strange_columns
from cdc.schema import Table
from cdc.source.connect import Connection
from cdc.source.publication import TableName

INTERVAL = 5.0  # seconds between two looks …
SOON = 0.2  # … and after a shape in the stream that is new

# Of each table (by oid): its files and those of its partitions, a digest of the catalog's rows about its columns, their
# numbers, and whether it has a key that rows are merged by.
MADE = """
    select c.oid,
           coalesce((select string_agg(pg_relation_filenode(t.relid)::text, ',' order by t.relid)
                     from pg_partition_tree(c.oid) t where t.isleaf), pg_relation_filenode(c.oid)::text, ''),
           md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.xmin), ',' order by a.attnum)),
           jsonb_object_agg(a.attname, a.attnum)::text,
           jsonb_object_agg(a.attname, concat_ws(' ', a.atttypid, a.atttypmod))::text,
           exists (select from pg_index i where i.indrelid = c.oid
                   and (i.indisprimary and i.indimmediate or i.indisreplident and c.relreplident = 'i'))
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.oid = any (%s) group by c.oid, c.relreplident"""


def read_made(connection: Connection, tables: Mapping[TableName, int]) -> dict[TableName, Made]:
    """How these tables (by oid) are made now; those that are gone are left out."""
    names = {oid: name for name, oid in tables.items()}
    rows = connection.execute(MADE, [list(names)]).fetchall()
    return {
        names[oid]: Made(
            oid=oid,
            files=files,
            versions=versions,
            columns=msgspec.json.decode(columns, type=dict[str, int]),
            types=msgspec.json.decode(types, type=dict[str, str]),
            keyed=keyed,
        )
        for oid, files, versions, columns, types, keyed in rows
    }


class Looking(Protocol):
    """What the watch needs of `cdc.source.capture.Capture`."""

    @property
    def oids(self) -> Mapping[TableName, int]: ...
    def made(self) -> Mapping[TableName, Made]: ...
    def current_lsn(self) -> Lsn: ...


class ShapeWatch:
    """A `cdc.reader.Job` that stays. `copy` is told of a table to be copied anew, why, and whether rows may be gathered
    beside it, in the reader's thread.

    A copy shows the table as it is now. So it begins when the stream has passed the place where that was seen: older shapes
    have then gone by. Until then nothing of it is recorded, so that the next run would see it as well.
    """

    def __init__(
        self,
        capture: Looking,
        controls: Mapping[str, bytes],
        copy: Callable[[TableName, str, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capture = capture
        self._copy = copy
        self._clock = clock
        self._known = {name: decode_made(controls, str(name)) for name in capture.oids}
        self._looked = clock()
        self._asked = True
        self._doubts = False
        self._publisher: Publisher | None = None
        self._waiting: dict[TableName, tuple[str, Made, Lsn]] = {}
        self._unlike: set[TableName] = set()

    def described(self, table: Table) -> Table:
        """The stream has told of a shape, which is given back with what is known of it. A doubt is published with the rows that
        it is about: it outlives this process."""
        name = TableName(table.schema, table.name)
        known = self._known.get(name)
        if known is None:
            return table
        table = numbered(known, table)
        if is_as_known(known, table):
            return table
        self._asked = True
        strange = strange_columns(known, table)
        if strange and self._publisher is not None:
            doubt = f"columns {', '.join(strange)} had their names only for a while"
            self._doubts = True
            known = self._known[name] = msgspec.structs.replace(known, doubt=doubt)
            self._publisher.publish(encode_made(str(name), known))
        return table

    def look(self, publisher: Publisher) -> None:
        """Compare what is known of all tables with what the catalog says."""
        self._publisher = publisher
        self._asked = self._doubts = False
        found = {}
        for name, now in self._capture.made().items():
            known = self._known.get(name)
            reason = reason_to_copy(known, now)
            if reason:
                found[name] = (reason, now)
                if known is None or not now.fits(known):
                    self._unlike.add(name)
            elif known != now and name not in self._waiting:
                publisher.publish(encode_made(str(name), now))
            self._known[name] = now
        if found:
            lsn = self._capture.current_lsn()
            self._waiting |= {name: (reason, now, lsn) for name, (reason, now) in found.items()}
        self._looked = self._clock()

    @property
    def settled(self) -> bool:
        """Is there nothing that waits to be copied, or to be looked at for that?"""
        return not self._waiting and not self._doubts

    def due(self, reader: Reader) -> bool:
        return self._is_time() or any(reader.received >= lsn for _, _, lsn in self._waiting.values())

    def step(self, reader: Reader) -> bool:
        for name, (reason, now, lsn) in list(self._waiting.items()):
            if reader.received >= lsn:
                del self._waiting[name]
                reader.publisher.publish(encode_made(str(name), now))
                self._copy(name, reason, name not in self._unlike)
                self._unlike.discard(name)
        if self._is_time():
            self.look(reader.publisher)
        return False

    def _is_time(self) -> bool:
        return self._clock() - self._looked >= (SOON if self._asked else INTERVAL)
