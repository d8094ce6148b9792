"""A table that is being copied: which chunk comes next, how large it is, and what of it goes to the publisher.

Chunks are read side by side and published one after the other in the order of their places, so the durable progress of a table
is a single place. Only the last piece of a chunk moves it.
"""

from __future__ import annotations

from collections.abc import Iterator

from cdc.config import SnapshotSettings
from cdc.events import Chunk as ChunkEvent
from cdc.lsn import Lsn, Position
from cdc.progress import Progress, encode_progress
from cdc.source.chunk import Chunk, Place, Standing, Wanted
from cdc.source.copy_out import Piece
from cdc.source.pace import chunk_rows
from cdc.source.publication import TableName

# Of a table's first chunks, by which it is seen how long rows take, for a pause of a second.
FIRST_BYTES = 16 << 20
FIRST_ROWS = 20_000  # of them, where nothing tells how many bytes a row has
SHARE = 0.4  # of the longest pause that a chunk may take
FEW_ROWS = 1000  # with fewer, a chunk is little but what it costs to begin one
GROWTH = 4  # how much larger than the last one a chunk may be


class Copying:
    """Used by the reader's thread."""

    def __init__(
        self, name: TableName, progress: Progress, settings: SnapshotSettings, after: Lsn = 0
    ) -> None:
        self.name = name
        self.progress = progress
        self.told = False
        """The observer knows that it has started."""
        self.fresh = False
        """All that the target has of the table was put there by this copy, which reads no key twice."""
        self._settings = settings
        self._after = after
        self._most = chunk_rows(settings)
        self._rows = min(FIRST_ROWS, self._most)
        self._untried = int(FIRST_BYTES * settings.max_stream_pause)
        self._last: Chunk | None = None
        """The chunk that was begun last."""

    def may_begin(self, received: Lsn) -> bool:
        """Is the stream, which has come this far, behind what the copy has to wait for?"""
        return not self._after or received > self._after

    @property
    def can_begin(self) -> bool:
        """Is it known where the next chunk begins?"""
        last = self._last
        return last is None or (last.known and last.next is not None)

    def begin(self, standing: Standing) -> Chunk:
        """The next chunk, to be read."""
        progress, last = self.progress, self._last
        place = Place(progress.leaf, progress.after, progress.key) if last is None else last.next
        assert place is not None
        full_name = str(self.name)
        statement = self._settings.statements.get(full_name, "")
        where = progress.where or self._settings.where.get(full_name, "")
        untried = 0 if where else self._untried
        wanted = Wanted(self.name, progress, self._rows, statement, where, untried, self._most)
        self._last = Chunk(wanted, place, standing)
        return self._last

    def begin_again(self) -> None:
        """Chunks that were begun and not published are to be read again."""
        self._last = None

    def learn(self, chunk: Chunk, rows: int) -> None:
        """From the time that a chunk took."""
        if chunk.seconds and rows >= chunk.rows // 2:
            fitting = int(rows * SHARE * self._settings.max_stream_pause / chunk.seconds)
            self._rows = min(max(fitting, FEW_ROWS), GROWTH * chunk.rows, self._most)
            self._untried = 0

    def events(
        self, chunk: Chunk, pieces: Iterator[Piece], position: Position, *, final: bool, more: bool = False
    ) -> Iterator[ChunkEvent]:
        """What is to be published for a chunk's pieces; moves the progress with the last one."""
        table, progress = chunk.table, self.progress
        assert table is not None
        if chunk.anew:
            self.progress = progress = Progress(shadow=progress.shadow, where=progress.where)
        progress.oid = table.oid
        progress.until = max(progress.until, chunk.until)
        first = not (table.key and progress.begun)
        if first:
            progress.rows = 0
            self.fresh = bool(table.key)
        unmoved = encode_progress(table.full_name, progress)
        done = chunk.next is None
        for (csv, rows), last in _with_last(pieces):
            progress.rows += rows
            control = unmoved
            if last:
                progress.done = done
                progress.shown = "" if table.key else str(chunk.shown)
                progress.leaf, progress.after, key = chunk.next or Place()
                progress.key = list(key)
                control = encode_progress(table.full_name, progress)
            yield ChunkEvent(
                table, csv, rows, position, control,
                first=first, last=last and done, final=final and last and done, fresh=self.fresh,
                shadow=progress.shadow, part=not last, more=more and last and done,
            )  # fmt: skip
            first = False


def _with_last(pieces: Iterator[Piece]) -> Iterator[tuple[Piece, bool]]:
    """The pieces, and whether each is the last; an empty one if there are none."""
    before: Piece | None = None
    for piece in pieces:
        if before is not None:
            yield before, False
        before = piece
    yield before or (b"", 0), True
