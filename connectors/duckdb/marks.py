"""What the warehouse remembers beside the rows, in schema `_cdc`: marks per partition, controls per key.

Written in the transaction of the rows they speak of. A known partition's mark is updated in place: deleting and inserting would
leave a dead row for every commit until DuckDB's next checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdc.errors import TargetError
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.marks import check_overtaken, moved
from connectors.sql import METADATA, qualified

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1  # of these tables


class Marks:
    """`state` is what is committed. `write` puts a checkpoint into the open transaction; `written` says it was committed."""

    def __init__(self, connection: DuckDBPyConnection, database: str) -> None:
        self._connection = connection
        self._marks = qualified(database, METADATA, "marks")
        self._controls = qualified(database, METADATA, "controls")
        self._format = qualified(database, METADATA, "format")
        self._create(qualified(database, METADATA))
        self.state = self._read()
        self._writing = self.state

    def _create(self, schema: str) -> None:
        run = self._connection.execute
        run("BEGIN")
        run(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        run(f"CREATE TABLE IF NOT EXISTS {self._format} (version INTEGER)")
        numbers = 'commit_lsn UBIGINT, ordinal UBIGINT, "offset" BIGINT'
        run(f"CREATE TABLE IF NOT EXISTS {self._marks} (partition VARCHAR PRIMARY KEY, {numbers})")
        run(f"CREATE TABLE IF NOT EXISTS {self._controls} (key VARCHAR, value BLOB)")
        versions = [version for (version,) in run(f"SELECT version FROM {self._format}").fetchall()]
        if not versions:
            run(f"INSERT INTO {self._format} VALUES ({FORMAT})").fetchall()
        elif versions != [FORMAT]:
            raise TargetError(
                f"its schema _cdc has format {versions[0]}, and this version of cdc reads {FORMAT}",
                hint="use the version of cdc that wrote it, or a newer one",
            )
        run("COMMIT")

    def read_again(self) -> None:
        """Look up what is committed, by this applier or another."""
        self.state = self._read()

    def _read(self) -> Checkpoint:
        marks = self._connection.execute(
            f'SELECT partition, commit_lsn, ordinal, "offset" FROM {self._marks}'
        ).fetchall()
        controls = self._connection.execute(f"SELECT key, value FROM {self._controls}").fetchall()
        return Checkpoint(_marks(marks), dict(controls))

    def write(self, checkpoint: Checkpoint) -> None:
        """Merge the checkpoint into what is kept; a mark never moves backward. Raises Overtaken."""
        self._check(checkpoint)
        marks, controls = dict(self.state.marks), dict(self.state.controls)
        for name, mark in moved(checkpoint.marks, marks).items():
            self._write_mark(name, mark, name in marks)
            marks[name] = mark
        for key, value in checkpoint.controls.items():
            if controls.get(key) != value:
                self._write_control(key, value, key in controls)
                controls[key] = value
        self._writing = Checkpoint(marks, controls)

    def _check(self, checkpoint: Checkpoint) -> None:
        """Whoever commits at the same time is met when the mark is written: DuckDB refuses the second of two."""
        names = list(checkpoint.marks)
        rows = self._connection.execute(
            f'SELECT partition, commit_lsn, ordinal, "offset" FROM {self._marks} WHERE list_contains($1, partition)',
            [names],
        ).fetchall()
        check_overtaken(_marks(rows), self.state.marks, where=METADATA)

    def forget(self) -> None:
        """Put into the open transaction that nothing is known any more."""
        for table in (self._marks, self._controls):
            self._connection.execute(f"DELETE FROM {table}").fetchall()
        self._writing = Checkpoint()

    def written(self) -> None:
        """What was last written is committed."""
        self.state = self._writing

    def _write_mark(self, name: str, mark: Mark, known: bool) -> None:
        sql = (
            f'UPDATE {self._marks} SET commit_lsn = $1, ordinal = $2, "offset" = $3 WHERE partition = $4'
            if known
            else f'INSERT INTO {self._marks} (commit_lsn, ordinal, "offset", partition) VALUES ($1, $2, $3, $4)'
        )
        self._connection.execute(
            sql, [mark.position.commit_lsn, mark.position.ordinal, mark.offset, name]
        ).fetchall()

    def _write_control(self, key: str, value: bytes, known: bool) -> None:
        sql = (
            f"UPDATE {self._controls} SET value = $1 WHERE key = $2"
            if known
            else f"INSERT INTO {self._controls} (value, key) VALUES ($1, $2)"
        )
        self._connection.execute(sql, [value, key]).fetchall()


def _marks(rows: list[Any]) -> dict[str, Mark]:
    return {name: Mark(Position(lsn, n), offset) for name, lsn, n, offset in rows}
