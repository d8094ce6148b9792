"""What an applier tells of its warehouse beside rows: tables parked, rows left out, what its policies did.

To the log and the book, and of rows left out to a topic, where it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from cdc.book import Book
from cdc.modes.letters import Letter
from cdc.modes.parking import parked_tables

if TYPE_CHECKING:
    from cdc.letter_box import LetterBox

log = structlog.get_logger()

MEND = "`cdc resync {}` copies it anew"


class Telling:
    """Of one warehouse, for one attempt."""

    def __init__(self, warehouse: str, book: Book, letters: LetterBox | None) -> None:
        self._warehouse = warehouse
        self._book = book
        self._letters = letters

    def remembered(self, controls: Mapping[str, bytes]) -> None:
        """What earlier attempts have set aside."""
        known = parked_tables(controls)
        for table, parked in known.items():
            if parked.reason:
                self._refused(table, parked.reason)
        left_out = {table: parked.rows for table, parked in known.items() if parked.rows}
        self._book.dead_letters_are(self._warehouse, left_out)

    def noted(self, table: str, what: str) -> None:
        """What a policy has done to a table."""
        log.warning("table_evolved", warehouse=self._warehouse, table=table, what=what)
        self._book.reshaped(self._warehouse, table, what)

    def parked(self, table: str, reason: str) -> None:
        """A table was set aside."""
        log.error("table_parked", warehouse=self._warehouse, table=table, why=reason)
        self._refused(table, reason)

    def _refused(self, table: str, reason: str) -> None:
        self._book.table_refused(table, f"{self._warehouse}: {reason}", MEND.format(table))

    def left_out(self, table: str, reason: str, rows: int) -> None:
        """Rows were."""
        self._book.dead_lettered(self._warehouse, table, reason, rows)

    def mended(self, table: str, rows: int) -> None:
        """So many rows that were left out will come again."""
        if self._letters is not None:
            self._letters.mended(table)
        self._book.dead_letters_answered(self._warehouse, table, rows)

    @property
    def tell(self) -> Callable[[Sequence[Letter]], None] | None:
        """What takes letters, if the warehouse's own table does not."""
        return None if self._letters is None else self._letters.tell
