"""Which tables are to be copied at the start of an attempt, and from where."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from cdc.book import Book
from cdc.config import SnapshotSettings
from cdc.copy_request import CopyRequest, anew, asked_anew, chosen
from cdc.errors import ConfigError
from cdc.progress import Progress, copied, decode_progress, encode_progress
from cdc.reader import Reader
from cdc.source.publication import TableName
from cdc.source.shown import ShownAlready

log = structlog.get_logger()


class CopyPlan:
    """`request` names tables that are to be copied, the others can wait. `lost`: the slot was, so nothing that was copied is of
    use. `first`: of the attempts; those that follow go on with what it began.
    """

    def __init__(
        self,
        settings: SnapshotSettings,
        request: CopyRequest | None,
        *,
        lost: bool,
        first: bool,
    ) -> None:
        self._settings = settings
        self._mode = settings.mode
        self._request = request
        self._lost = lost
        self._first = first
        self.todo: dict[TableName, Progress] = {}
        self.known: dict[TableName, Progress] = {}
        self.left_out: list[TableName] = []

    def make(
        self, tables: Mapping[TableName, int], controls: Mapping[str, bytes], reader: Reader, book: Book
    ) -> None:
        """For captured tables, by their oids, and the progress so far. Raises ConfigError if the request names none of them.

        Of a table whose changes go by meanwhile, no warehouse may keep a record of its copy: neither of one that is not captured
        any more, nor of one that is copied again because another warehouse lacks it.
        """
        self._check(tables)
        asked = set(chosen(self._request, tables)) if self._request is not None else set(tables)
        for name in copied(controls).difference(map(str, tables)):
            reader.publisher.publish(encode_progress(name, Progress()))
        for table, oid in tables.items():
            progress = decode_progress(controls, str(table))
            if not progress.is_of(oid):
                log.info("table_made_anew", table=str(table))
                progress = Progress()
            if progress.shown:
                reader.skips.append(ShownAlready(str(table), progress))
            wanted = self._wanted(table, progress)
            self.known[table] = progress
            book.captured(str(table), copied=wanted is None, rows=progress.rows)
            if wanted is None:
                continue
            if not wanted.begun:
                reader.publisher.publish(encode_progress(str(table), wanted))
            if table in asked:
                self.todo[table] = wanted
            elif not wanted.begun and not wanted.shadow:
                self.left_out.append(table)

    def _check(self, tables: Collection[TableName]) -> None:
        """A condition that concerns no table would be one that nobody notices."""
        for setting in ("where", "statements"):
            for name in getattr(self._settings, setting):
                if name not in map(str, tables):
                    raise ConfigError(
                        f"[snapshot] {setting} names {name}",
                        why="no table that is captured has this name",
                        hint="a table is written schema.table; [source] tables says which are captured",
                    )

    def _wanted(self, table: TableName, progress: Progress) -> Progress | None:
        """From where a table is to be copied; None: it need not be."""
        if self._lost:
            return anew(progress)
        if self._first and self._request is not None and self._request.names(str(table)):
            return asked_anew(self._request, str(table), progress)
        if self._first and self._mode == "always" and progress.done:
            return anew(progress)
        due = not progress.done and (self._mode != "no_data" or progress != Progress())
        return progress if due else None
