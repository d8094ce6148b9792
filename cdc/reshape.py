"""When a table must be copied anew: changes of its shape after which rows differ, and of which the stream says nothing.

PostgreSQL streams no row for a rewrite of the table, a default that differs from row to row, or a column that was dropped and
added again. What was known of the table is kept as a control record, and compared with what the catalog says now. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from cdc.events import Control
from cdc.schema import Table

PREFIX = "shape:"


class Made(msgspec.Struct, kw_only=True):
    """How a table was made: the value of the control record `shape:<schema>.<table>`.

    `files` names the files of its rows, which a rewrite replaces; `columns` gives their attribute numbers, `versions` changes
    with any of the catalog's rows about them. `keyed`: rows are merged by a key. `types` names their types. `doubt`: why the
    rows that the target has got since are to be copied anew.
    """

    oid: int
    files: str
    versions: str
    columns: dict[str, int]
    keyed: bool
    types: dict[str, str] = {}
    doubt: str = ""

    def fits(self, before: Made) -> bool:
        """Can rows of the table as it is now replace those of `before`? Else the target's columns have to change first."""
        same = all(
            before.types.get(name) == kind for name, kind in self.types.items() if name in before.columns
        )
        return same and self.keyed == before.keyed


def decode_made(controls: Mapping[str, bytes], table: str) -> Made | None:
    value = controls.get(PREFIX + table)
    return msgspec.json.decode(value, type=Made) if value else None


def encode_made(table: str, made: Made) -> Control:
    return Control(PREFIX + table, msgspec.json.encode(made))


def reason_to_copy(known: Made | None, now: Made) -> str:
    """Why rows that the stream does not tell of may be others now; empty if they are not.

    VACUUM FULL, CLUSTER and TRUNCATE replace a table's files, too, but leave its columns as they are.
    """
    if known is None or known.oid != now.oid:
        return ""  # another table: that its copy is missing is seen by its progress
    if now.keyed and not known.keyed:
        return "it was copied without a key, and has one now"
    if known.files != now.files and known.versions != now.versions:
        return "its rows were written anew by a change of its columns"
    for name, number in now.columns.items():
        if known.columns.get(name, number) != number:
            return f"column {name} is not the one that had its name before"
    return known.doubt


def is_as_known(known: Made, table: Table) -> bool:
    """Does a shape in the stream have these columns, and a key as it had before?"""
    same = all(known.columns.get(column.name) == column.attnum for column in table.columns)
    return same and known.keyed == bool(table.key)


def numbered(known: Made, table: Table) -> Table:
    """The shape with the attribute number of its one column whose name the catalog has no more: what has that number now was in
    every shape since, so it is in this one, under no other name."""
    unknown = [index for index, column in enumerate(table.columns) if not column.attnum]
    if len(unknown) != 1 or known.oid != table.oid:
        return table
    [index] = unknown
    number = known.columns.get(table.columns[index].name, 0)
    if number not in table.catalog or any(column.attnum == number for column in table.columns):
        return table
    columns = list(table.columns)
    columns[index] = replace(columns[index], attnum=number)
    return replace(table, columns=tuple(columns))


def strange_columns(known: Made, table: Table) -> list[str]:
    """Columns of a shape in the stream that neither were known before nor are in the catalog now: by a name that they had
    in between, which nobody can tell from that of another column."""
    return [column.name for column in table.columns if not column.attnum and column.name not in known.columns]
